import type { Scenario } from "../scenario.ts";
import { failpoints } from "./failpoints.ts";
import { kills } from "./kills.ts";
import { peerFaults } from "./peer-faults.ts";
import { peerKills } from "./peer-kills.ts";
import { peerPoison } from "./peer-poison.ts";
import { receiverFaults } from "./receiver-faults.ts";
import { sigterm } from "./sigterm.ts";

export const SCENARIOS: readonly Scenario[] = [
  failpoints,
  kills,
  sigterm,
  receiverFaults,
  peerKills,
  peerFaults,
  peerPoison,
];
