import type { Scenario } from "../scenario.ts";
import { failpoints } from "./failpoints.ts";
import { kills } from "./kills.ts";
import { peerFaults } from "./peer-faults.ts";
import { peerKills } from "./peer-kills.ts";
import { peerPoison } from "./peer-poison.ts";
import { network } from "./network.ts";
import { poison } from "./poison.ts";
import { receiverFaults } from "./receiver-faults.ts";
import { sigterm } from "./sigterm.ts";
import { takeover } from "./takeover.ts";

export const SCENARIOS: readonly Scenario[] = [
  failpoints,
  kills,
  sigterm,
  receiverFaults,
  poison,
  network,
  takeover,
  peerKills,
  peerFaults,
  peerPoison,
];
