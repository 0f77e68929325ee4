"""A cluster of scripts/kafka, and its topics filled with the job."""

import itertools
import os
import subprocess
from pathlib import Path

from . import job, wire

ROOT = Path(__file__).resolve().parents[3]
WORK = ROOT / "target" / "peers"
INPUT_PARTITIONS = 6
OUTPUT_PARTITIONS = 4


class Kafka:
    """Brokers of our own, gone with `close`."""

    def __init__(self, brokers, port):
        self.brokers, self.directory = brokers, WORK / f"kafka-{brokers}"
        self._script("clean", fine=True)
        self.bootstrap = self._script("start", "--port", str(port), "--nodes", str(brokers)).strip().splitlines()[-1]
        self.wire = wire.Cluster(self.bootstrap)
        self.replication = min(brokers, 3)

    def _script(self, command, *arguments, fine=False):
        line = [str(ROOT / "scripts" / "kafka"), command, "--dir", str(self.directory), *arguments]
        environment = {**os.environ, "KAFKA_HEAP": "2g"}
        done = subprocess.run(line, capture_output=True, text=True, env=environment, check=False, timeout=400)
        if done.returncode and not fine:
            raise SystemExit(f"{' '.join(line)}: {done.stderr or done.stdout}")
        return done.stdout

    def close(self):
        """Ends the brokers and removes their data."""
        self._script("clean", fine=True)

    def produce(self, topic, lines, *options):
        """Writes `key|value` lines by kcat."""
        command = ["kcat", "-P", "-b", self.bootstrap, "-t", topic, "-K", "|", "-X", "linger.ms=50", "-X", "batch.size=500000",
                   "-X", "queue.buffering.max.messages=200000", *options]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as kcat:
            for part in iter(lambda: list(itertools.islice(lines, 5000)), []):
                kcat.stdin.write(("\n".join(part) + "\n").encode())
            kcat.stdin.close()
            if kcat.wait():
                raise SystemExit(f"kcat could not fill {topic}")

    def read(self, topic):
        """Yields the lines `key TAB timestamp TAB value` of a topic's committed records."""
        command = ["kcat", "-C", "-b", self.bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%k\t%T\t%s\n",
                   "-X", "isolation.level=read_committed", "-X", "check.crcs=false", "-X", "fetch.wait.max.ms=20"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1 << 20) as kcat:
            yield from kcat.stdout
            if kcat.wait():
                raise SystemExit(f"kcat could not read {topic}")


def input_lines(cell, count):
    """The lines of the input, made once and kept in a file."""
    path = WORK / f"input-{cell.size}-{cell.tenants}-{count}"
    if not path.exists():
        part = path.with_suffix(".part")
        with open(part, "w", encoding="utf-8") as file:
            file.writelines(f"{key}|{value}\n" for key, value in job.records(count, cell.size, cell.tenants))
        part.rename(path)
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


class Filled:
    """The topics of one kind of cell: input, shares, sharecast's control topic."""

    def __init__(self, kafka, cell, count):
        self.kafka, self.count = kafka, count
        name = f"{cell.fan_out}-{cell.size}-{cell.tenants}"
        self.input, self.shares, self.prefix = f"input-{name}", f"shares-{name}", f"sc-{name}"
        self.empty = f"empty-{name}"
        for old in WORK.glob(f"{self.prefix}.snapshot*"):
            old.unlink()
        make = kafka.wire.create_topics
        make([self.input, self.empty], INPUT_PARTITIONS, kafka.replication)
        make([self.shares], 1, kafka.replication, {
            "cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"})
        make([f"{self.prefix}.control"], 1, kafka.replication, {
            "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1", "message.timestamp.type": "LogAppendTime"})
        kafka.produce(self.input, input_lines(cell, count))
        rows = (f"{asset}|{row}" for asset, row in job.share_rows(cell.fan_out, cell.tenants))
        # A row that no asset has says that the table has been read to its end.
        kafka.produce(self.shares, itertools.chain(rows, ["end|t000 end 0"]))
        events = (f"k|{event}" for event in job.control_events(cell.fan_out, cell.tenants))
        kafka.produce(f"{self.prefix}.control", events, "-H", "content-type=application/cloudevents+json")

    def outputs(self, cell, name):
        """The output topics of a peer's run."""
        return [f"{name}.{job.tenant(number)}.telemetry" for number in range(cell.tenants)]

    def remove(self):
        """Makes room."""
        self.kafka.wire.delete_topics([self.input, self.empty, self.shares])
