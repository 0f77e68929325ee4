"""One run of one peer: start it, wait until it is warm, measure, end it, compare what it wrote."""

import os
import shutil
import signal
import subprocess
import time

from . import compare, peers, wire
from .cluster import INPUT_PARTITIONS, OUTPUT_PARTITIONS, WORK

TICK = os.sysconf("SC_CLK_TCK")
EVERY = 0.05


class Run:
    """What a peer is told, and where it keeps its state."""

    def __init__(self, filled, cell, peer, number, parallel):
        self.filled, self.kafka, self.cell, self.peer, self.parallel = filled, filled.kafka, cell, peer, parallel
        self.input, self.delivery = filled.input, peer.delivery or cell.delivery
        self.name = f"{cell.name}-{peer.name}-{number}"
        # Sharecast's group is the installation's; its status writer goes on where it was.
        self.group = filled.prefix if peer.name.startswith("sharecast") else self.name
        self.state = WORK / "state" / self.name
        self.state.mkdir(parents=True, exist_ok=True)
        self.topics = filled.outputs(cell, self.name)

    def environment(self):
        """The job as the peers read it."""
        return {
            "PEERS_BOOTSTRAP": self.kafka.bootstrap, "PEERS_INPUT": self.input, "PEERS_SHARES": self.filled.shares,
            "PEERS_OUTPUT": self.name, "PEERS_GROUP": self.group, "PEERS_DELIVERY": self.delivery,
            "PEERS_COMPRESSION": self.cell.compression, "PEERS_FANOUT": str(self.cell.fan_out), "PEERS_TENANTS": str(self.cell.tenants),
            "PEERS_PARALLEL": str(self.parallel), "PEERS_STATE": str(self.state),
        }


def cpu_seconds(pid):
    """User and system time of a process, its children and those it has waited for."""
    total, waiting = 0, [pid]
    while waiting:
        process = waiting.pop()
        try:
            with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15]))
            for task in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{task}/children", encoding="ascii") as file:
                    waiting += map(int, file.read().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / TICK


def end(process):
    """Asks it to end, then makes it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Sampler:
    """CPU and progress, side by side. Progress is what the peer's group has committed of the input."""

    def __init__(self, run, process):
        self.run, self.process = run, process

    def now(self):
        """Returns records, CPU seconds and the clock."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.run.name} ended with {self.process.returncode}: see {self.run.state / 'log'}")
        # Of the installation's group this run's topic alone counts.
        done = sum(self.run.kafka.wire.committed(self.run.group, self.run.input, INPUT_PARTITIONS).values())
        return done, cpu_seconds(self.process.pid), time.monotonic()

    def until(self, records, seconds, since=None, nothing_for=240):
        """Returns the first sample with so many records, or that of a record committed after so many seconds. `since` is how many there
        were before: a fast peer may have got all of them by the first look."""
        begun = last = time.monotonic()
        before = since
        while True:
            sample = self.now()
            if before is not None and sample[0] != before:
                last = sample[2]
                if sample[0] >= records or sample[2] - begun > seconds:
                    return sample
            before = sample[0]
            if sample[2] - last > nothing_for:
                raise RuntimeError(f"{self.run.name} has committed nothing for {nothing_for} s at record {before}: see {self.run.state / 'log'}")
            time.sleep(EVERY)


def catch_up(filled, cell, parallel):
    """Lets sharecast fold the control topic and write all status documents, on an empty input, before anything is measured."""
    run = Run(filled, cell, peers.BY_NAME["sharecast"], "prepare", parallel)
    run.input = filled.empty
    filled.kafka.wire.create_topics(run.topics, OUTPUT_PARTITIONS, filled.kafka.replication)
    with open(run.state / "log", "wb") as log:
        process = run.peer.start(run, log)
        try:
            status = f"{filled.prefix}.shares"
            least = min(cell.fan_out, 1)
            before, still = -1, 0
            for _ in range(600):
                time.sleep(0.5)
                if process.poll() is not None:
                    raise RuntimeError(f"sharecast ended with {process.returncode}: see {run.state / 'log'}")
                try:
                    written = sum(filled.kafka.wire.end_offsets([status]).values())
                except wire.KafkaError:  # The topic comes with the engine.
                    continue
                still = still + 1 if written == before and written >= least else 0
                before = written
                if still >= 6:
                    break
            else:
                raise RuntimeError(f"the status topic still grows after five minutes: see {run.state / 'log'}")
        finally:
            end(process)
    filled.kafka.wire.delete_topics(run.topics)


def measure(run, plan, expected):
    """Returns the figures of one run, with what the comparison found."""
    asked = run.kafka.wire
    asked.create_topics(run.topics, OUTPUT_PARTITIONS, run.kafka.replication)
    if run.peer.name.startswith("sharecast"):
        # The runs before have read it to its end in the installation's group.
        asked.commit(run.group, run.input, dict.fromkeys(range(INPUT_PARTITIONS), 0))
    with open(run.state / "log", "wb") as log:
        process = run.peer.start(run, log)
        try:
            sampler = Sampler(run, process)
            first = sampler.until(plan.prime, min(plan.prime_seconds, run.peer.prime_seconds))
            if first[0] >= plan.records:
                raise RuntimeError(f"{run.name} had read all {plan.records} records before it was warm: give more --records")
            measured = min(plan.records, first[0] + plan.measured)
            last = sampler.until(measured, min(plan.measure_seconds, run.peer.measure_seconds), first[0])
            rest = sampler.until(plan.records, plan.rest_seconds, last[0]) if last[0] < plan.records and plan.rest_seconds else last
            resident = _resident_mib(process.pid)
        finally:
            end(process)
    is_whole = rest[0] >= plan.records
    found = compare.compare(run, expected, is_whole, plan.compare_every) if expected is not None else {}
    asked.delete_topics(run.topics)
    shutil.rmtree(run.state, ignore_errors=True)
    records, cpu, wall = (last[n] - first[n] for n in range(3))
    return {"cell": run.cell.name, "peer": run.peer.name, "delivery": run.delivery, "records": records,
            "us": cpu / records * 1e6, "records_s": records / wall, "resident_mib": resident, "primed": first[0], "early": first[0] < plan.prime, "whole": is_whole, **found}


def _resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    return 0
