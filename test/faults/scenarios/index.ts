import type { Scenario } from "../scenario.ts";
import { backfill } from "./backfill.ts";
import { continuity } from "./continuity.ts";
import { failpoints } from "./failpoints.ts";
import { isolation } from "./isolation.ts";
import { kills } from "./kills.ts";
import { liveness } from "./liveness.ts";
import { memory } from "./memory.ts";
import { network } from "./network.ts";
import { peerFaults } from "./peer-faults.ts";
import { peerKills } from "./peer-kills.ts";
import { peerPoison } from "./peer-poison.ts";
import { poison } from "./poison.ts";
import { receiverFaults } from "./receiver-faults.ts";
import { sigterm } from "./sigterm.ts";
import { takeover } from "./takeover.ts";
import { types } from "./types.ts";
import { wal } from "./wal.ts";

export const SCENARIOS: readonly Scenario[] = [
  failpoints,
  kills,
  sigterm,
  backfill,
  receiverFaults,
  poison,
  network,
  takeover,
  isolation,
  liveness,
  continuity,
  wal,
  memory,
  types,
  peerKills,
  peerFaults,
  peerPoison,
];
