"""What a peer wrote against what must come out, as canonical JSON, key by key in order, with the input's timestamps."""

import hashlib

from . import job


def _digest(timestamp, text):
    return hashlib.blake2b(f"{timestamp} {text}".encode(), digest_size=8).digest()


def is_compared(asset, every):
    """Whether this asset is in the sample."""
    return asset % every == 0


def compared_tenants(cell):
    """Those whose topics are read: five, of all of which every profile comes."""
    return list(range(1, min(6, cell.tenants)))


def expected(filled, cell, every):
    """Of each compared (tenant, asset) the digests that must come, in order: as projected, and as copied."""
    projected, copied = {}, {}
    tenants = set(compared_tenants(cell))
    for line in filled.kafka.read(filled.input):
        asset = int(line[1:6])
        if not is_compared(asset, every):
            continue
        _, timestamp, value = line.rstrip("\n").split("\t", 2)
        wanted = [(number, profile) for number, profile in job.targets(asset, cell.fan_out, cell.tenants) if number in tenants]
        if not wanted:
            continue
        record = job.read_json(value)
        for number, profile in wanted:
            out = job.project(record, profile, job.tenant(number), job.target_id(asset))
            projected.setdefault((number, asset), []).append(_digest(timestamp, job.canonical(out)))
            copied.setdefault((number, asset), []).append(_digest(timestamp, value))
    return projected, copied


def compare(run, wanted, is_whole, every):
    """Returns what was compared and the first differences. A peer that was ended early must have written a beginning of each key."""
    wanted = wanted[1 if run.peer.copies else 0]
    found, total = {}, 0
    for number in compared_tenants(run.cell) if run.cell.fan_out else []:
        for line in run.kafka.read(run.topics[number]):
            total += 1
            asset = int(line[1:6])
            if not is_compared(asset, every):
                continue
            _, timestamp, value = line.rstrip("\n").split("\t", 2)
            text = value if run.peer.copies else job.canonical(job.read_json(value))
            found.setdefault((number, asset), []).append(_digest(timestamp, text))
    different = differences(wanted, found, is_whole)
    return {"compared": sum(map(len, found.values())), "read": total, "different": len(different), "examples": different[:3]}


def differences(wanted, found, is_whole):
    """The keys whose lists are not those wanted, or, of a peer ended early, not a beginning of them."""
    keys = set(found) | (set(wanted) if is_whole else set())
    return sorted(
        f"{job.tenant(key[0])}/{job.target_id(key[1])}: {len(found.get(key, ()))} of {len(wanted.get(key, ()))}"
        for key in keys if not _fits(wanted.get(key, []), found.get(key, []), is_whole))


def _fits(wanted, found, is_whole):
    return found == (wanted if is_whole else wanted[:len(found)])
