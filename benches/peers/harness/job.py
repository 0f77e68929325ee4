"""The one job that all peers do: its records, its shares, its profiles, and what must come out, in plain Python."""

import json
import random
from decimal import ROUND_HALF_UP, Decimal

ASSETS = 10_000
SEED = 15143


class Cell:
    """One cell of the table: the base, or one factor changed."""

    def __init__(self, name, fan_out=4, size=498, compression="none", tenants=20, brokers=1, delivery="exactly_once"):
        self.name, self.fan_out, self.size, self.compression = name, fan_out, size, compression
        self.tenants, self.brokers, self.delivery = tenants, brokers, delivery

    def fill_key(self):
        """Cells of one key read the same input and the same shares."""
        return self.fan_out, self.size, self.tenants, self.brokers


CELLS = {cell.name: cell for cell in [
    Cell("base"),
    Cell("fan-out-0", fan_out=0),
    Cell("fan-out-1", fan_out=1),
    Cell("fan-out-16", fan_out=16),
    Cell("2-kb", size=2048),
    Cell("lz4", compression="lz4"),
    Cell("1000-tenants", tenants=1000),
    Cell("three-brokers", brokers=3),
    Cell("at-least-once", delivery="at_least_once"),
]}

# What a profile says, as sharecast reads it. The Java, Go and Benthos peers have the same three by number.
PROFILES = {
    "hire": {
        "include": ["$.EquipmentHeader.OEMName", "$.EquipmentHeader.Model", "$.EquipmentHeader.SerialNumber", "$.Location",
                    "$.CumulativeOperatingHours", "$.FuelUsed"],
        "exclude": ["$.Location.Altitude"],
        "transform": [
            {"path": "$.EquipmentHeader.SerialNumber", "mask": {"keep_last": 4}},
            {"path": "$.Location.Latitude", "round": 4},
            {"path": "$.Location.Longitude", "round": 4},
            {"path": "$.CumulativeOperatingHours.Hour", "rename": "hours"},
        ],
    },
    "workshop": {
        "include": ["$.EquipmentHeader", "$.Location", "$.CumulativeOperatingHours", "$.FuelUsed", "$.Distance", "$.Sensors"],
        "transform": [
            {"path": "$.EquipmentHeader.PIN", "mask": {"keep_last": 4}},
            {"path": "$.Location.Latitude", "round": 1},
            {"path": "$.Location.Longitude", "round": 1},
            {"path": "$.FuelUsed.FuelConsumed", "rename": "consumed"},
        ],
    },
    "insurer": {
        "include": ["$.EquipmentHeader.Model", "$.EquipmentHeader.PIN", "$.Location", "$.CumulativeOperatingHours", "$.Distance",
                    "$.EngineStatus"],
        "exclude": ["$.Location.Altitude"],
        "transform": [
            {"path": "$.EquipmentHeader.PIN", "mask": {"keep_last": 4}},
            {"path": "$.Location.Latitude", "round": 2},
            {"path": "$.Location.Longitude", "round": 2},
            {"path": "$.Distance.Odometer", "rename": "distance"},
        ],
    },
}
PROFILE_NAMES = list(PROFILES)


def tenant(number):
    """The name of a tenant."""
    return f"t{number:03d}"


def owner_of(asset, tenants):
    """The number of the tenant that owns the asset."""
    return asset % tenants


def targets(asset, fan_out, tenants):
    """Of each share of the asset the target's number and the profile's."""
    return [((owner_of(asset, tenants) + 1 + 7 * slot) % tenants, (asset + slot) % 3) for slot in range(fan_out)]


def asset_id(asset):
    """What the owner calls it."""
    return f"A{asset:05d}"


def target_id(asset):
    """What every target calls it."""
    return f"X{asset:05d}"


def share_rows(fan_out, tenants):
    """The table of shares as the peers read it: of each asset one line a target, `tenant id profile`."""
    for asset in range(ASSETS):
        rows = [f"{tenant(number)} {target_id(asset)} {profile}" for number, profile in targets(asset, fan_out, tenants)]
        if rows:
            yield asset_id(asset), ";".join(rows)


def control_events(fan_out, tenants):
    """The same table as events of sharecast's control topic: profiles, partnerships, one offer a share."""
    counter = 0

    def event(kind, data, source="/operator"):
        nonlocal counter
        counter += 1
        return json.dumps({"specversion": "1.0", "id": f"e{counter}", "source": source, "type": f"sharecast.{kind}.v1",
                           "time": "2026-01-01T00:00:00Z", "data": data}, separators=(",", ":"))

    used = range(min(tenants, ASSETS))
    for number in used:
        for name, spec in PROFILES.items():
            yield event("profile.published", {"owner": tenant(number), "profile": name, "spec": {"telemetry": spec}})
    pairs = sorted({tuple(sorted((owner_of(asset, tenants), number)))
                    for asset in range(ASSETS) for number, _ in targets(asset, fan_out, tenants)})
    for a, b in pairs:
        yield event("partnership.established", {"tenants": [tenant(a), tenant(b)], "auto_accept": True})
    for asset in range(ASSETS):
        for slot, (number, profile) in enumerate(targets(asset, fan_out, tenants)):
            yield event("share.offered", {
                "share": f"s{asset}-{slot}", "asset": asset_id(asset), "target_tenant": tenant(number), "target_asset": target_id(asset),
                "streams": ["telemetry"], "profile": PROFILE_NAMES[profile], "history": True,
            }, source=f"/tenants/{tenant(owner_of(asset, tenants))}")


def records(count, size, tenants, first=0):
    """Yields key and value of each record: telemetry of ISO 15143-3-like members, always the same for the same numbers."""
    chance = random.Random(SEED + first)
    # Coordinates end with a 7, so that none is a tie: peers that round doubles get the same decimals as those that round exactly.
    sensors = ""
    if size > 1000:
        sensors = ',"Sensors":{' + ",".join(f'"channel{number:02d}":{{"mean":%.2f,"max":%.1f,"unit":"kPa"}}' for number in range(23)) + "}"
    whole = ('{"tenant":"%s","asset":"%s","ts":"2026-01-%02dT%02d:%02d:%02d.%03dZ","seq":%d,"EquipmentHeader":{"OEMName":"Halden",'
             '"Model":"HX360","EquipmentID":"EX-%05d","SerialNumber":"HX360-%07d","PIN":"HALX%013d"},"Location":{"Latitude":%.5f7,'
             '"Longitude":%.5f7,"Altitude":%.1f},"CumulativeOperatingHours":{"Hour":%.2f},"FuelUsed":'
             '{"FuelUnits":"litre","FuelConsumed":%.1f},"Distance":{"Odometer":%.1f},"EngineStatus":'
             '{"EngineNumber":"1","Running":%s}')
    for number in range(first, first + count):
        asset = number * 7919 % ASSETS
        drawn = chance.random()
        second = number % 86_400
        text = whole % (
            tenant(owner_of(asset, tenants)), asset_id(asset), 1 + number // 86_400 % 28, second // 3600, second // 60 % 60, second % 60,
            int(drawn * 1000), number, asset, asset * 37, asset * 1_000_003, 47 + drawn * 12, 5 + drawn * 9, drawn * 900,
            asset + number / 60_000, 10_000 * drawn + asset, 40_000 * drawn, "true" if drawn < 0.7 else "false")
        if sensors:
            text += sensors % tuple(drawn * (100 + step) for step in range(46))
        pad = size - len(text) - len(',"note":""}')
        yield asset_id(asset), f'{text},"note":"{"n" * max(pad, 0)}"}}'


def read_json(text):
    """JSON with numbers as decimals."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def canonical(value):
    """One spelling of a JSON value: members sorted, numbers as plain decimals."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{canonical(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, Decimal):
        text = format(value, "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return "0" if text in ("-0", "") else text
    return json.dumps(value)


def project(record, profile, target, target_asset):
    """What a target gets of a record, by the rules of sharecast's profiles, for the paths that PROFILES uses."""
    spec = PROFILES[PROFILE_NAMES[profile]]
    excluded = {tuple(path[2:].split(".")) for path in spec.get("exclude", ())}
    included = {tuple(path[2:].split(".")) for path in spec["include"]}
    actions = {}
    for transform in spec["transform"]:
        actions[tuple(transform["path"][2:].split("."))] = transform

    def walk(node, path, selected):
        out = {}
        for name, value in node.items():
            here = path + (name,)
            chosen = selected or here in included
            if here in excluded:
                continue
            if isinstance(value, dict):
                inner = walk(value, here, chosen)
                if chosen or inner:
                    out[name] = inner
                continue
            if not chosen:
                continue
            action = actions.get(here, {})
            if "round" in action:
                value = value.quantize(Decimal(1).scaleb(-action["round"]), ROUND_HALF_UP)
            if "mask" in action:
                keep = action["mask"]["keep_last"]
                value = "*" * (len(value) - keep) + value[len(value) - keep:]
            out[action.get("rename", name)] = value
        return out

    out = walk(record, (), False)
    out.update({"tenant": target, "asset": target_asset, "ts": record["ts"]})
    return out
