"""How each peer is built and started. All of them read their job from the environment, sharecast its configuration."""

import os
import subprocess
from pathlib import Path

from .cluster import OUTPUT_PARTITIONS, ROOT, WORK

PEERS = Path(__file__).resolve().parents[1]
HTTP_PORT = 29_464


class Peer:
    """One row of the table."""

    def __init__(self, name, title, command, build, copies=False, delivery=None, slow=False, **environment):
        self.name, self.title, self.command, self.build = name, title, command, build
        self.copies = copies  # It passes records through: outputs are the input's bytes.
        self.delivery = delivery  # Always this one, whatever the cell says.
        # What has no JIT and takes a hundred times longer needs no long run.
        self.prime_seconds, self.measure_seconds = (8, 15) if slow else (float("inf"), float("inf"))
        self.environment = environment

    def start(self, run, log):
        """Starts it; the process is the caller's to end."""
        environment = {**os.environ, **run.environment(), **self.environment}
        return subprocess.Popen(self.command(run), env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                start_new_session=True, cwd=run.state)


def sharecast_config(run):
    """Writes the engine's configuration and returns its path."""
    path = run.state / "sharecast.yaml"
    path.write_text(f"""\
streams:
  telemetry: {{ mode: append, topic: {run.input}, tenant: $.tenant, asset: $.asset, time: $.ts, start: earliest }}
provenance: none
delivery: {run.delivery}
kafka: {{ bootstrap: "{run.kafka.bootstrap}", instance: peers, data_plane: {run.peer.environment.get("PEERS_DATA_PLANE", "auto")} }}
workers: {run.parallel}
topics: {{ prefix: {run.filled.prefix} }}
output: {{ topic: "{run.name}.{{tenant}}.{{stream}}", partitions: {OUTPUT_PARTITIONS}, compression: {run.cell.compression} }}
snapshot: {{ path: {WORK / (run.filled.prefix + ".snapshot")} }}
http: {{ listen: "127.0.0.1:{HTTP_PORT}" }}
log: {{ level: warn }}
""", encoding="utf-8")
    return path


def _sharecast(run):
    binary = os.environ.get("PEERS_SHARECAST", ROOT / "target" / "release" / "sharecast")
    return [str(binary), "run", "-c", str(sharecast_config(run))]


def _cargo(*arguments):
    def build():
        subprocess.run(["cargo", "build", "--release", "--locked", *arguments], cwd=ROOT, check=True)
    return build


def _maven(folder):
    def build():
        subprocess.run(["mvn", "-q", "-B", "compile"], cwd=PEERS / folder, check=True)
    return build


def _go(folder):
    def build():
        subprocess.run(["go", "build", "-o", str(WORK / folder), "."], cwd=PEERS / folder, check=True)
    return build


def _java(folder, main, *options):
    target = PEERS / folder / "target"
    return lambda run: ["java", "-Xms1g", "-Xmx2g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *options, "-cp", f"{target}/classes:{target}/libs/*", main]


def _pass_through(_run):
    deps = ROOT / "target" / "release" / "deps"
    built = [path for path in deps.glob("librdkafka_pass_through-*") if not path.suffix and os.access(path, os.X_OK)]
    if not built:
        raise SystemExit("the librdkafka pass-through is not built: run without --no-build")
    return [str(max(built, key=lambda path: path.stat().st_mtime))]


FLINK = ("--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED")

ALL = [
    Peer("sharecast", "**sharecast**", _sharecast, _cargo("--bin", "sharecast")),
    Peer("sharecast-librdkafka", "sharecast, written by librdkafka", _sharecast, _cargo("--bin", "sharecast"), PEERS_DATA_PLANE="librdkafka"),
    Peer("streams-streaming", "Kafka Streams, streaming pass", _java("kafka-streams", "peers.Main"), _maven("kafka-streams"),
         PEERS_TOPOLOGY="streaming"),
    Peer("streams-trees", "Kafka Streams, trees", _java("kafka-streams", "peers.Main"), _maven("kafka-streams"), PEERS_TOPOLOGY="trees"),
    Peer("flink", "Flink, broadcast state, streaming pass", _java("flink", "peers.Main", *FLINK), _maven("flink")),
    Peer("redpanda-connect", "Redpanda Connect's engine, mapping", lambda run: [str(WORK / "redpanda-connect")], _go("redpanda-connect"),
         delivery="at_least_once", slow=True),
    Peer("librdkafka", "librdkafka pass-through, sorted, no work", _pass_through, _cargo("--bench", "librdkafka_pass_through"), copies=True),
    Peer("franz-go", "franz-go pass-through, no work", lambda run: [str(WORK / "franz-go")], _go("franz-go"), copies=True),
]
BY_NAME = {peer.name: peer for peer in ALL}
