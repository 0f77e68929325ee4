"""The results as a table in Markdown."""

import json
from statistics import median

from . import job, peers


def line(result):
    """One run in one line."""
    if "failed" in result:
        return f"{result['cell']:14} {result['peer']:18} failed: {result['failed']}"
    compared = f"{result['compared']:,} compared, {result['different']} different" if "compared" in result else "not compared"
    examples = "".join(f"\n    {example}" for example in result.get("examples", ()))
    return (f"{result['cell']:14} {result['peer']:18} {result['us']:8.2f} us/record {result['records_s']:9,.0f} records/s "
            f"{result['resident_mib']:5} MiB  {result['records']:,} measured, {compared}{examples}")


def read(path):
    """What the results are about (the last), and the runs."""
    about, runs = {}, []
    with open(path, encoding="utf-8") as file:
        for text in file:
            result = json.loads(text)
            if "about" in result:
                about = result["about"]
            else:
                runs.append(result)
    return about, runs


def of_file(path):
    """All tables of a file of results."""
    about, runs = read(path)
    tables = [part for part in (cpu(runs), latency(runs)) if part]
    tables.append(f"{about['machine']}, commit {about['commit']}, {about['date']}: `{about['command']}`")
    return "\n\n".join(tables)


def cpu(runs):
    """CPU-us per input record, and in brackets how many times sharecast's in the same cell. Medians of the rounds."""
    figures = {}
    for result in runs:
        if "us" in result:
            figures.setdefault((result["peer"], result["cell"]), []).append(result)
    cells = [name for name in job.CELLS if any(cell == name for _, cell in figures)]
    if not cells:
        return ""
    rows = [f"| CPU-µs per input record | {' | '.join(cells)} |", f"| --- |{' ---: |' * len(cells)}"]
    for peer in peers.ALL:
        if not any(name == peer.name for name, _ in figures):
            continue
        rows.append(f"| {peer.title} | {' | '.join(_cell(figures, peer.name, cell) for cell in cells)} |")
    if any("†" in row for row in rows):
        rows.append("\n† Fewer records before the measured part than were asked for: it was too slow for them.")
    return "\n".join(rows)


def _cell(figures, peer, cell):
    own = figures.get((peer, cell))
    if not own:
        return ""
    us = median(result["us"] for result in own)
    base = figures.get(("sharecast", cell))
    ratio = f" ({us / median(result['us'] for result in base):.2f}x)" if base and peer != "sharecast" else ""
    # What wrote something else than it should is no measurement of the job.
    wrong = " **wrong**" if any(result.get("different") for result in own) else ""
    early = " †" if any(result.get("early") for result in own) else ""
    return f"{us:.1f}{ratio}{early}{wrong}"


def latency(runs):
    """End to end and revoke to quiet, in milliseconds."""
    found = [result for result in runs if "p50_ms" in result]
    if not found:
        return ""
    questions = list(dict.fromkeys(result["question"] for result in found))
    rows = [f"| p50 / p99, ms | {' | '.join(questions)} |", f"| --- |{' ---: |' * len(questions)}"]
    for peer in peers.ALL:
        cells = []
        for question in questions:
            own = [result for result in found if result["peer"] == peer.name and result["question"] == question]
            cells.append(f"{median(r['p50_ms'] for r in own):.0f} / {median(r['p99_ms'] for r in own):.0f}{own[-1].get('note', '')}" if own else "")
        if any(cells):
            rows.append(f"| {peer.title} | {' | '.join(cells)} |")
    return "\n".join(rows)
