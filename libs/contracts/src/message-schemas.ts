import type { z } from 'zod';
import { ManifestAnswerV1, ManifestV1 } from './manifest/v1.js';
import {
  AppliedV1,
  HeartbeatAnswerV1,
  HeartbeatV1,
  HttpAnswerV1,
  HttpRequestV1,
  OutputStoredV1,
  PlanAnswerV1,
  PlanRequestV1,
  StepEventV1,
  StoreAnswerV1,
  StoreRequestV1,
} from './messages/executor.js';
import { ClaimAnswerV1, ClaimRequestV1, OutputV1, ReportV1, StepTokenV1 } from './messages/step.js';

/** The schema of every message that travels between gateway and executors, by its `type`; all of them are of version 1. */
export const messageSchemas = {
  manifest: ManifestV1,
  'manifest.answer': ManifestAnswerV1,
  heartbeat: HeartbeatV1,
  'heartbeat.answer': HeartbeatAnswerV1,
  'step.token': StepTokenV1,
  claim: ClaimRequestV1,
  'claim.answer': ClaimAnswerV1,
  output: OutputV1,
  'output.stored': OutputStoredV1,
  report: ReportV1,
  applied: AppliedV1,
  'step.event': StepEventV1,
  plan: PlanRequestV1,
  'plan.answer': PlanAnswerV1,
  http: HttpRequestV1,
  'http.answer': HttpAnswerV1,
  store: StoreRequestV1,
  'store.answer': StoreAnswerV1,
} as const satisfies Record<string, z.ZodType>;

export type MessageType = keyof typeof messageSchemas;
