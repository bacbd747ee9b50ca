#!/usr/bin/env python3
"""An executor in Python: it serves the action `example_python.Count` with live output, cancel and failure.

Written from docs/protocol.md and nothing else. Start it with

    NATS_URL=nats://example_python:PASSWORD@127.0.0.1:4222 python3 executor.py

It ends on SIGTERM: takes no more work, lets what runs end, and waits until the gateway has applied every outcome.
"""

import asyncio
import json
import logging
import os
import signal
import time
import uuid

import nats
from nats.errors import TimeoutError as NoMessage
from nats.js.errors import NotFoundError

PLUGIN = "example_python"
QUEUE = "default"
PREFIX = "dynflow.v1."
EXECUTOR = os.environ.get("EXECUTOR_ID", "python-1")
START_ID = str(uuid.uuid4())
SLOTS = 2
log = logging.getLogger(PLUGIN)

ACTION = {
    "name": f"{PLUGIN}.Count",
    "version": 1,
    "inputSchema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "to": {"type": "integer", "minimum": 1, "maximum": 100000},
            "pause_ms": {"type": "integer", "minimum": 0, "maximum": 60000},
            "fail_at": {"type": "integer"},
        },
        "required": ["to"],
    },
    "run": True,
    "finalize": {"kind": "failUnless", "output": "exit_status", "equals": 0, "message": "The count did not reach its end"},
    "cancellable": True,
    "rescueStrategy": "Fail",
    "chunksAs": "result",
    "abandonedOutput": {"exit_status": "EXCEPTION"},
}


class Step:
    """One claim, from the moment it is asked for until its outcome is applied."""

    def __init__(self, token):
        self.claim = str(uuid.uuid4())
        self.token = token
        self.cancelled = asyncio.Event()
        self.chunks = []  # what is not confirmed yet
        self.room = asyncio.Event()
        self.next_seq = 1
        self.report = None

    @property
    def address(self):
        return {"claim": self.claim, "plan": self.token["plan"], "step": self.token["step"], "attempt": self.token["attempt"]}


class Executor:
    UNCONFIRMED_CHUNKS = 200

    def __init__(self, nc):
        self.nc = nc
        self.js = nc.jetstream()
        self.held = {}
        self.stopping = asyncio.Event()
        self.used = 0

    async def ask(self, subject, message, timeout):
        """A request. An answer of more than 512 KiB comes in parts, each with the header `Part: i/n`."""
        inbox = self.nc.new_inbox()
        subscription = await self.nc.subscribe(inbox)
        try:
            await self.nc.publish(PREFIX + subject, encode(message), reply=inbox)
            body = b""
            while True:
                part = await subscription.next_msg(timeout=timeout)
                headers = part.headers or {}
                if headers.get("Status") == "503":
                    raise NoMessage("no gateway is there")
                body += part.data
                number, _, count = headers.get("Part", "1/1").partition("/")
                if number == count:
                    answer = json.loads(body)
                    if headers.get("Error"):
                        raise RuntimeError(answer["message"])
                    return answer
        finally:
            await subscription.unsubscribe()

    async def announce(self):
        manifest = {
            "type": "manifest",
            "version": 1,
            "contracts": {"min": 1, "max": 1},
            "executor": EXECUTOR,
            "startId": START_ID,
            "slots": SLOTS,
            "health": {"state": "running"},
            "declaration": {
                "plugin": PLUGIN,
                "pluginVersion": "1.0.0",
                "actions": [ACTION],
                "operations": [{"name": "python-count", "launcher": "single", "action": ACTION["name"]}],
            },
        }
        while not self.stopping.is_set():
            try:
                answer = await self.ask(f"heartbeat.{PLUGIN}.{EXECUTOR}", manifest, 5)
                if answer and answer["accepted"]:
                    log.info("announced")
                    return
                log.error("refused: %s", (answer or {}).get("reason"))
                await asyncio.sleep(30)
            except (NoMessage, RuntimeError) as error:
                log.info("waiting for a gateway: %s", error)
                await asyncio.sleep(1)

    async def beat(self):
        while True:
            state = {
                "type": "heartbeat",
                "version": 1,
                "executor": EXECUTOR,
                "startId": START_ID,
                "draining": self.stopping.is_set(),
                "slots": {"total": SLOTS, "used": self.used},
                "held": [{key: step.address[key] for key in ("claim", "plan", "step")} for step in self.held.values()],
            }
            try:
                answer = await self.ask(f"heartbeat.{PLUGIN}.{EXECUTOR}", state, 5)
                if answer and answer["announce"]:
                    await self.announce()
            except (NoMessage, RuntimeError):
                pass  # silence is what the gateway goes by
            await asyncio.sleep(5)

    async def on_message(self, message):
        """What gateways tell this executor: confirmations are published, events are requests."""
        body = json.loads(message.data)
        if body["type"] == "applied":
            for report in body["reports"]:
                self.held.pop(report["claim"], None)
        elif body["type"] == "output.stored":
            for stored in body["output"]:
                step = self.held.get(stored["claim"])
                if step:
                    step.chunks = [chunk for chunk in step.chunks if chunk["seq"] > stored["seq"]]
                    step.room.set()
        elif body["type"] == "step.event" and body["event"]["kind"] == "cancel" and body["claim"] in self.held:
            self.held[body["claim"]].cancelled.set()
        if message.reply.startswith("_I.gateway."):
            await message.respond(b"null")

    async def slot(self):
        """Takes one token at a time, claims its step, runs it."""
        tokens = None
        while not self.stopping.is_set():
            try:
                if tokens is None:
                    tokens = await self.js.pull_subscribe_bind(consumer=QUEUE, stream=f"STEPS_{PLUGIN}")
                (message,) = await tokens.fetch(1, timeout=1)
            except NoMessage:
                continue
            except (NotFoundError, nats.errors.Error):
                tokens = None  # the gateway has not made the queue yet
                await asyncio.sleep(1)
                continue
            self.used += 1
            await self.work(message)
            self.used -= 1

    async def work(self, message):
        step = Step(json.loads(message.data))
        self.held[step.claim] = step
        request = {"type": "claim", "version": 1, "executor": EXECUTOR, "startId": START_ID, "claims": [step.address]}
        grant = None
        for pause in (0.2, 1, 3, 0):
            try:
                answer = await self.ask(f"claim.{step.token['shard']}.{PLUGIN}", request, 5)
                if answer:
                    grant = answer["answers"][0]
                    break
            except (NoMessage, RuntimeError):
                pass
            await asyncio.sleep(pause)  # the same claim is asked again: it gets the same answer
        if grant is None:
            del self.held[step.claim]
            await message.nak(delay=5)
            return
        await message.ack()
        if grant["result"] == "refused":
            del self.held[step.claim]
            return
        step.next_seq = grant["nextSeq"]
        try:
            outcome = await self.count(step, grant["input"])
        except Exception as error:  # whatever goes wrong is the step's outcome
            outcome = {"kind": "failed", "error": {"errorClass": type(error).__name__, "message": str(error), "kind": "final"}}
        step.report = {
            "type": "report",
            "version": 1,
            "executor": EXECUTOR,
            "startId": START_ID,
            "reports": [{**step.address, "number": 1, "outcome": outcome, "chunks": step.chunks}],
        }
        await self.send_report(step)

    async def count(self, step, job):
        """The work itself."""
        for number in range(1, job["to"] + 1):
            if step.cancelled.is_set():
                await self.write(step, "stderr", f"Cancelled before {number}.\n")
                return {"kind": "done", "output": {"exit_status": 130}}
            if number == job.get("fail_at"):
                raise ValueError(f"asked to fail at {number}")
            await self.write(step, "stdout", f"{number}\n")
            if job.get("pause_ms"):
                try:
                    await asyncio.wait_for(step.cancelled.wait(), job["pause_ms"] / 1000)
                except asyncio.TimeoutError:
                    pass
        return {"kind": "done", "output": {"exit_status": 0}}

    async def write(self, step, kind, text):
        """Live output: sent as it comes, kept until it is stored; too much unconfirmed output makes the writer wait."""
        step.chunks.append({"seq": step.next_seq, "kind": kind, "timestampMs": time.time() * 1000, "text": text})
        step.next_seq += 1
        await self.send_output(step, step.chunks[-1:])
        while len(step.chunks) >= self.UNCONFIRMED_CHUNKS:
            step.room.clear()
            try:
                await asyncio.wait_for(step.room.wait(), 5)
            except asyncio.TimeoutError:
                await self.send_output(step, step.chunks)

    async def send_output(self, step, chunks):
        message = {"type": "output", "version": 1, "executor": EXECUTOR, "output": [{**step.address, "chunks": chunks}]}
        await self.nc.publish(f"{PREFIX}output.{step.token['shard']}.{PLUGIN}", encode(message))

    async def send_report(self, step):
        """To the inbox, until the gateway says `applied`; the claim and its number make doubles harmless."""
        while step.claim in self.held:
            try:
                await self.js.publish(f"{PREFIX}inbox.{step.token['shard']}.{PLUGIN}", encode(step.report))
            except (NoMessage, nats.errors.Error) as error:
                log.warning("the outcome is sent again: %s", error)
            for _ in range(50):
                if step.claim not in self.held:
                    return
                await asyncio.sleep(0.1)

    async def run(self):
        await self.nc.subscribe(f"{PREFIX}executor.{PLUGIN}.{EXECUTOR}", cb=self.on_message)
        await self.announce()
        heart = asyncio.create_task(self.beat())
        await asyncio.gather(*(self.slot() for _ in range(SLOTS)))
        heart.cancel()


def encode(message):
    return json.dumps(message).encode()


async def main():
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    nc = await nats.connect(
        os.environ["NATS_URL"],
        name=f"{PLUGIN} {EXECUTOR}",
        inbox_prefix=f"_I.{PLUGIN}".encode(),
        max_reconnect_attempts=-1,
    )
    executor = Executor(nc)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, executor.stopping.set)
    await executor.run()
    await nc.close()


if __name__ == "__main__":
    asyncio.run(main())
