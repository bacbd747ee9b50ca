CREATE TABLE "dynflow_actions" (
  "plan_id" text NOT NULL,
  "id" integer NOT NULL,
  "name" text NOT NULL,
  "version" integer NOT NULL,
  "plan_step" integer NOT NULL,
  "run_step" integer,
  "finalize_step" integer,
  "caller_plan" text,
  "caller_action" integer,
  "input" text NOT NULL,
  "output_references" text NOT NULL,
  "output" text NOT NULL,
  "chunks_as" text,
  "progress_weights" text,
  CONSTRAINT "dynflow_actions_plan" FOREIGN KEY ("plan_id") REFERENCES "dynflow_execution_plans" ("id") ON DELETE CASCADE,
  PRIMARY KEY ("plan_id", "id"));

CREATE TABLE "dynflow_documents" (
  "plugin" text NOT NULL,
  "collection" text NOT NULL,
  "key" text NOT NULL,
  "index_word" text,
  "document" text NOT NULL,
  "revision" integer NOT NULL,
  PRIMARY KEY ("plugin", "collection", "key"));

CREATE INDEX "dynflow_documents_index_word" ON "dynflow_documents" ("plugin", "collection", "index_word") WHERE index_word IS NOT NULL;

CREATE TABLE "dynflow_execution_plans" (
  "number" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  "id" text NOT NULL,
  "shard" integer NOT NULL,
  "label" text NOT NULL,
  "state" text NOT NULL,
  "result" text NOT NULL,
  "run_flow" text NOT NULL,
  "finalize_flow" text NOT NULL,
  "phase" text NOT NULL,
  "step_count" integer NOT NULL,
  "history" text NOT NULL,
  "created_at" double precision NOT NULL,
  "started_at" double precision,
  "ended_at" double precision,
  "execution_time" double precision NOT NULL,
  "caller_plan" text,
  "caller_action" integer,
  "is_external" boolean NOT NULL,
  "concurrency_limit" integer,
  "is_cancel_requested" boolean NOT NULL,
  "sealed_secrets" text,
  "request" text,
  "priority" integer NOT NULL DEFAULT 0,
  "attributes" text NOT NULL DEFAULT '{}',
  "idempotency_key" text,
  "schedule" text,
  "held_because" text,
  "is_halted" boolean NOT NULL DEFAULT 0,
  "waiting_for" text);

CREATE INDEX "dynflow_execution_plans_caller" ON "dynflow_execution_plans" ("caller_plan") WHERE caller_plan IS NOT NULL;

CREATE INDEX "dynflow_execution_plans_created_at" ON "dynflow_execution_plans" ("created_at", "number");

CREATE INDEX "dynflow_execution_plans_ended_at" ON "dynflow_execution_plans" ("ended_at") WHERE ended_at IS NOT NULL;

CREATE UNIQUE INDEX "dynflow_execution_plans_id" ON "dynflow_execution_plans" ("id");

CREATE UNIQUE INDEX "dynflow_execution_plans_idempotency_key" ON "dynflow_execution_plans" ("idempotency_key") WHERE idempotency_key IS NOT NULL;

CREATE INDEX "dynflow_execution_plans_label" ON "dynflow_execution_plans" ("label", "number");

CREATE INDEX "dynflow_execution_plans_label_started_at" ON "dynflow_execution_plans" ("label", "started_at", "number");

CREATE INDEX "dynflow_execution_plans_result" ON "dynflow_execution_plans" ("result", "number") WHERE result <> 'pending';

CREATE INDEX "dynflow_execution_plans_result_started_at" ON "dynflow_execution_plans" ("result", "started_at", "number") WHERE result <> 'pending';

CREATE INDEX "dynflow_execution_plans_started_at" ON "dynflow_execution_plans" ("started_at");

CREATE INDEX "dynflow_execution_plans_state" ON "dynflow_execution_plans" ("state", "number");

CREATE INDEX "dynflow_execution_plans_state_result" ON "dynflow_execution_plans" ("state", "result");

CREATE INDEX "dynflow_execution_plans_state_started_at" ON "dynflow_execution_plans" ("state", "started_at", "number");

CREATE TABLE "dynflow_manifests" (
  "plugin" text NOT NULL,
  "plugin_version" text NOT NULL,
  "declaration" text NOT NULL,
  "kept_at" double precision NOT NULL,
  PRIMARY KEY ("plugin", "plugin_version"));

CREATE TABLE "dynflow_migrations" (
  "id" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  "timestamp" bigint NOT NULL,
  "name" varchar NOT NULL);

CREATE TABLE "dynflow_output_chunks" (
  "number" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  "plan_id" text NOT NULL,
  "action_id" integer NOT NULL,
  "seq" integer NOT NULL,
  "kind" text NOT NULL,
  "timestamp" double precision NOT NULL,
  "chunk" text NOT NULL,
  "external_id" text,
  CONSTRAINT "dynflow_output_chunks_plan" FOREIGN KEY ("plan_id") REFERENCES "dynflow_execution_plans" ("id") ON DELETE CASCADE);

CREATE INDEX "dynflow_output_chunks_action" ON "dynflow_output_chunks" ("plan_id", "action_id");

CREATE TABLE "dynflow_plan_attributes" (
  "plan_number" integer NOT NULL,
  "name" text NOT NULL,
  "value" text NOT NULL,
  CONSTRAINT "dynflow_plan_attributes_plan" FOREIGN KEY ("plan_number") REFERENCES "dynflow_execution_plans" ("number") ON DELETE CASCADE,
  PRIMARY KEY ("plan_number", "name"));

CREATE INDEX "dynflow_plan_attributes_value" ON "dynflow_plan_attributes" ("name", "value", "plan_number");

CREATE TABLE "dynflow_plan_dependencies" (
  "plan_id" text NOT NULL,
  "after_id" text NOT NULL,
  CONSTRAINT "dynflow_plan_dependencies_plan" FOREIGN KEY ("plan_id") REFERENCES "dynflow_execution_plans" ("id") ON DELETE CASCADE,
  PRIMARY KEY ("plan_id", "after_id"));

CREATE INDEX "dynflow_plan_dependencies_after" ON "dynflow_plan_dependencies" ("after_id");

CREATE TABLE "dynflow_shards" (
  "id" integer PRIMARY KEY NOT NULL,
  "owner" text,
  "epoch" integer NOT NULL,
  "expires_at" double precision NOT NULL);

CREATE TABLE "dynflow_steps" (
  "plan_id" text NOT NULL,
  "id" integer NOT NULL,
  "kind" text NOT NULL,
  "action_id" integer NOT NULL,
  "queue" text NOT NULL,
  "state" text NOT NULL,
  "attempt" integer NOT NULL,
  "executor" text,
  "waiting_for" text,
  "wake_at" double precision,
  "error" text,
  "started_at" double precision,
  "ended_at" double precision,
  "execution_time" double precision NOT NULL,
  "detail" text NOT NULL,
  "progress" double precision NOT NULL DEFAULT 0,
  "retries" integer NOT NULL DEFAULT 0,
  CONSTRAINT "dynflow_steps_plan" FOREIGN KEY ("plan_id") REFERENCES "dynflow_execution_plans" ("id") ON DELETE CASCADE,
  PRIMARY KEY ("plan_id", "id"));

CREATE INDEX "dynflow_steps_open" ON "dynflow_steps" ("state") WHERE state IN ('running', 'suspended');
