"""End-to-end latency at given rates, and revoke to quiet under full load, both seen by a reader of committed records outside."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from statistics import quantiles

from . import job, measure, peers, table
from .cluster import INPUT_PARTITIONS, OUTPUT_PARTITIONS, WORK, Filled, Kafka, input_lines

# The tenant that is watched: a twentieth of all outputs, so that watching costs little beside what is watched.
WATCHED = 1
# Records of these assets go to the watched tenant in slot 0: few, so that each has many records a second.
HOT = range(0, 2000, 20)
TICK = 0.01
SETTLE_SECONDS = 3


class Watcher(threading.Thread):
    """Reads one topic from its end and notes when each record was seen."""

    def __init__(self, kafka, topic, note, is_busy):
        super().__init__(daemon=True)
        self.note = note
        command = ["kcat", "-C", "-b", kafka.bootstrap, "-t", topic, "-o", "end", "-q", "-f", "%k %T\n", "-X", "isolation.level=read_committed"]
        # Unbuffered where lines are few; where they are many a full buffer never waits long.
        self.process = subprocess.Popen(command + ([] if is_busy else ["-u"]), stdout=subprocess.PIPE)
        self.start()

    def run(self):
        rest = b""
        while part := os.read(self.process.stdout.fileno(), 1 << 16):
            now = time.time() * 1000
            lines = (rest + part).split(b"\n")
            rest = lines.pop()
            for line in lines:
                key, _, stamp = line.partition(b" ")
                self.note(key, int(stamp), now)

    def close(self):
        """Ends the reader."""
        self.process.kill()
        self.process.wait()
        self.join()


def feed(kafka, topic, lines, rate, seconds):
    """Writes so many records a second; returns how many a second it were."""
    command = ["kcat", "-P", "-b", kafka.bootstrap, "-t", topic, "-K", "|", "-X", "linger.ms=2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as kcat:
        begun, written = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < seconds:
            due = int(rate * passed) - written
            if due > 0:
                kcat.stdin.write(b"".join(itertools.islice(lines, due)))
                kcat.stdin.flush()
                written += due
            time.sleep(TICK)
        passed = time.monotonic() - begun
        kcat.stdin.close()
        kcat.wait()
    return written / passed


def percentiles(values):
    """p50 and p99."""
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else values * 99
    return cuts[49], cuts[98]


def end_to_end(run, lines, rate, seconds):
    """One rate: the time from a record's timestamp, which its producer set, to when a reader has its output."""
    seen = []
    begun = time.time() * 1000 + SETTLE_SECONDS * 1000
    watcher = Watcher(run.kafka, run.topics[WATCHED], lambda key, stamp, now: seen.append(now - stamp) if stamp >= begun else None, rate >= 20_000)
    time.sleep(1)
    reached = feed(run.kafka, run.input, lines, rate, seconds)
    _await_quiet(lambda: len(seen))
    watcher.close()
    if len(seen) < 10:
        raise RuntimeError(f"{run.name}: {len(seen)} outputs were seen at {rate}/s: see {run.state / 'log'}")
    p50, p99 = percentiles(seen)
    note = f" (only {reached:,.0f}/s came)" if reached < 0.95 * rate else ""
    return {"question": f"end to end, {rate:,}/s", "p50_ms": p50, "p99_ms": p99, "count": len(seen), "note": note}


def _await_quiet(count, longest=60):
    """Until nothing new has come for two seconds."""
    begun, before, last = time.monotonic(), count(), time.monotonic()
    while time.monotonic() - last < 2 and time.monotonic() - begun < longest:
        time.sleep(0.1)
        if count() != before:
            before, last = count(), time.monotonic()


def revoke(run, number):
    """Takes the watched tenant's share of a hot asset away, as each peer is told."""
    asset = HOT[number]
    if run.peer.name == "sharecast":
        event = {"specversion": "1.0", "id": f"quiet-{asset}", "source": f"/tenants/{job.tenant(job.owner_of(asset, run.cell.tenants))}",
                 "type": "sharecast.share.revoked.v1", "time": "2026-01-01T00:00:00Z", "data": {"share": f"s{asset}-0"}}
        run.kafka.produce(f"{run.filled.prefix}.control", iter([f"k|{json.dumps(event)}"]), "-H", "content-type=application/cloudevents+json")
    else:
        rows = [f"{job.tenant(target)} {job.target_id(asset)} {profile}" for target, profile in job.targets(asset, run.cell.fan_out, run.cell.tenants)]
        run.kafka.produce(run.filled.shares, iter([f"{job.asset_id(asset)}|{';'.join(rows[1:])}"]))


def revoked_at(run, count):
    """When the broker took each revoke, by asset: both topics have the broker's time."""
    at = {}
    if run.peer.name == "sharecast":
        for line in run.kafka.read(f"{run.filled.prefix}.control"):
            _, stamp, event = line.split("\t", 2)
            if '"quiet-' in event:
                at[int(json.loads(event)["id"][6:])] = int(stamp)
    else:
        hot = {job.asset_id(HOT[number]): HOT[number] for number in range(count)}
        for line in run.kafka.read(run.filled.shares):
            key, stamp, _ = line.split("\t", 2)
            if key in hot:
                at[hot[key]] = int(stamp)
    return at


def revoke_to_quiet(run, lines, options):
    """Under a backlog that keeps the peer busy: from the broker's time of a revoke to when its last record was seen."""
    last = {}
    newest = [0.0]

    def note(key, _stamp, now):
        last[key] = newest[0] = now

    watcher = Watcher(run.kafka, run.topics[WATCHED], note, True)
    hot = [line for line in itertools.islice(lines, 200_000) if int(line[1:6]) in HOT]
    backlog = threading.Thread(target=lambda: run.kafka.produce(
        run.input, (line.decode().rstrip("\n") for line in itertools.islice(itertools.cycle(hot), options.records))))
    backlog.start()
    time.sleep(SETTLE_SECONDS)
    for number in range(options.revokes):
        revoke(run, number)
        time.sleep(0.2)
    backlog.join()
    _await_quiet(lambda: newest[0])
    watcher.close()
    at = revoked_at(run, options.revokes)
    # A revoke that came when nothing flowed any more says nothing.
    counted = {asset: stamp for asset, stamp in at.items() if stamp + 2000 < newest[0]}
    if not counted:
        raise RuntimeError(f"{run.name}: the backlog was over before the first revoke; give more --records")
    took = [max(last.get(job.target_id(asset).encode(), 0) - stamp, 0) for asset, stamp in counted.items()]
    p50, p99 = percentiles(took)
    return {"question": "revoke to quiet", "p50_ms": p50, "p99_ms": p99, "count": len(took)}


def inside():
    """The engine's own histogram of the same, as the upper bounds of the buckets that hold p50 and p99."""
    with urllib.request.urlopen(f"http://127.0.0.1:{peers.HTTP_PORT}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    buckets = {}
    for line in text.splitlines():
        if line.startswith("sharecast_revoke_to_quiet_seconds_bucket"):
            bound = line.split('le="', 1)[1].split('"', 1)[0]
            buckets[float(bound)] = buckets.get(float(bound), 0) + int(float(line.rsplit(" ", 1)[1]))
    total = buckets.get(float("inf"), 0)
    if not total:
        return None
    p50, p99 = (next(bound for bound in sorted(buckets) if buckets[bound] >= part * total) * 1000 for part in (0.5, 0.99))
    return {"question": "revoke to quiet, inside, at most", "p50_ms": p50, "p99_ms": p99, "count": total}


def of_peer(options, filled, cell, peer, write):
    """All questions for one peer."""
    kafka = filled.kafka
    run = measure.Run(filled, cell, peer, "latency", options.parallel)
    run.input = f"latency-{peer.name}"
    kafka.wire.create_topics([run.input], INPUT_PARTITIONS, kafka.replication)
    kafka.wire.create_topics(run.topics, OUTPUT_PARTITIONS, kafka.replication)
    lines = itertools.cycle([f"{line}\n".encode() for line in input_lines(cell, options.prime)])
    with open(run.state / "log", "wb") as log:
        process = peer.start(run, log)
        try:
            kafka.produce(run.input, input_lines(cell, options.prime))
            measure.Sampler(run, process).until(options.prime, 600)
            for rate in map(int, options.rates.split(",")):
                write(end_to_end(run, lines, rate, options.seconds))
            if not peer.copies and peer.name != "redpanda-connect":
                write(revoke_to_quiet(run, lines, options))
                if peer.name == "sharecast" and (found := inside()):
                    write(found)
        finally:
            measure.end(process)
    kafka.wire.delete_topics([run.input, *run.topics])


def run(options, _cells, who):
    """Each peer after the other, on the base cell."""
    cell = job.CELLS["base"]
    kafka = Kafka(cell.brokers, options.port)
    try:
        filled = Filled(kafka, cell, options.prime)
        if "sharecast" in who:
            measure.catch_up(filled, cell, options.parallel)
        for name in who:
            def write(result, name=name):
                result["peer"] = name
                with open(WORK / "latency.jsonl", "a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
                print(f"{name:18} {result['question']:34} p50 {result['p50_ms']:7.0f} p99 {result['p99_ms']:7.0f} ms, {result['count']:,} seen"
                      f"{result.get('note', '')}", file=sys.stderr, flush=True)
            try:
                of_peer(options, filled, cell, peers.BY_NAME[name], write)
            except RuntimeError as error:
                print(table.line({"cell": "latency", "peer": name, "failed": str(error)}), file=sys.stderr, flush=True)
            if name != "sharecast":
                restore(filled, cell, options.revokes)
    finally:
        kafka.close()


def restore(filled, cell, count):
    """Gives the next peer the whole table again."""
    whole = dict(job.share_rows(cell.fan_out, cell.tenants))
    ids = [job.asset_id(HOT[number]) for number in range(count)]
    filled.kafka.produce(filled.shares, (f"{asset}|{whole[asset]}" for asset in ids))
