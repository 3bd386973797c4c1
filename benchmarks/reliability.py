"""What was provoked, how often, and what happened: docs/reliability.md, from measurements alone.

    python benchmarks/reliability.py                 # everything, about an hour
    python benchmarks/reliability.py hostile numbers # only these parts; the others stay as they were

Results are kept in benchmarks/results/reliability.json part by part.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from datetime import date
from pathlib import Path

import extremes
import faults
import hostile

import difffilter as df
from difffilter.benchmark.machine import machine
from difffilter.io.files import replacing

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results/reliability.json"
PAGE = ROOT / "docs/reliability.md"

HEAD = """\
# Reliability

<!-- made by benchmarks/reliability.py -->

What was done to difffilter on purpose, how often, and what happened. `make faults` does it again
and writes this page. Every line was measured; what failed would be listed as such.
"""


def provoked(folder, cases, only):
    """One row for each fault."""
    rows = []
    for how, where, provoke in faults.FAULTS:
        if only and only not in f"{how}, {where}":
            continue
        # Training starts PyTorch each time.
        count = max(1, cases // 5) if where == "train" else cases
        start = time.time()
        try:
            done, said = provoke(Path(folder) / "scene", count), "as it should"
        except AssertionError as error:
            done, said = count, f"FAILED: {' '.join(str(error).split())[:200]}"
        rows.append({"how": how, "where": where, "cases": done, "said": said})
        print(f"{how}, {where}: {done} cases, {said}, {time.time() - start:.0f} s", flush=True)
    return rows


def mutated(folder, cases, only):
    """One row for each kind of file."""
    rows = []
    for kind in hostile.KINDS:
        if only and only not in kind:
            continue
        found = hostile.run((kind,), Path(folder) / "hostile", cases)
        rows.append({"kind": kind, **found, "bad": found["bad"][:20]})
        print(f"{kind}: {found['outcomes']}, {found['slowest']:.2f} s", flush=True)
    return rows


def numbers(folder, cases, only):
    """One row for each filter."""
    rows = []
    for text in [*extremes.FILTERS, *(f"{name} (all chosen)" for name in df.methods()[:-1])]:
        method, _, chosen = text.partition(" (all")
        sigma = None if chosen else 0.1
        bad = [f"{name}: {said}" for name in extremes.IMAGES
               if (said := extremes.check(method, name, sigma))]  # fmt: skip
        slow = None
        if not chosen and text not in ("identity", "ddpm") and "2e3" not in text:
            slow = extremes.slowdown(text, 128)
        rows.append({"filter": text, "cases": len(extremes.IMAGES), "bad": bad, "slowdown": slow})
        print(f"{text}: {len(bad)} bad, {slow}", flush=True)
    return rows


PARTS = {"faults": provoked, "hostile": mutated, "numbers": numbers}


def page(results):
    """The Markdown of all parts that there are."""
    lines = [HEAD]
    if part := results.get("faults"):
        lines += [
            f"## Faults\n\n{about(part)} Each case is a real process of the command line that is "
            "stopped by the fault at another moment. Then: nothing half-written stands where a "
            "result belongs; the message is one line without a traceback; a second run finishes "
            "the job, and the result is checked against what it should be.\n",
            "| fault | during | cases | what happened |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {r['how']} | {r['where']} | {r['cases']} | {r['said']} |" for r in part["rows"]
        ]
        lines.append("")
    if part := results.get("hostile"):
        lines += [
            f"## Hostile files\n\n{about(part)} Valid files, each with one to four things wrong with "
            "it: bits, numbers, pieces left out, doubled or put in; for text also words that mean "
            "harm. A case fails by a traceback, a crash, a file written elsewhere, more than "
            f"{hostile.SECONDS} s of processor time or {hostile.BYTES >> 30} GB of memory.\n",
            "| kind | cases | done | refused in one line | failed | slowest | most memory |",
            "|---|---|---|---|---|---|---|",
        ]
        for r in part["rows"]:
            o = r["outcomes"]
            lines.append(
                f"| {r['kind']} | {sum(o.values())} | {o.get('done', 0)} | {o.get('refused', 0)} | "
                f"{o.get('failed', 0)} | {r['slowest']:.2f} s | {r['most'] / 1e6:.0f} MB |"
            )
        lines.append("")
    if part := results.get("numbers"):
        lines += [
            f"## Numbers at the ends of their range\n\n{about(part)} The images: "
            f"{'; '.join(extremes.IMAGES)}. A result has to be finite and, where the filter keeps "
            "extrema, within them to rounding; `ddpm` refuses what is far outside [0, 1]. The last "
            "column is the time for subnormal numbers over that for numbers in [0, 1].\n",
            "| filter | images | failed | subnormal |",
            "|---|---|---|---|",
        ]
        for r in part["rows"]:
            slow = "" if r["slowdown"] is None else f"{r['slowdown']:.2f}"
            failed = "; ".join(r["bad"]) or "0"
            lines.append(f"| `{r['filter']}` | {r['cases']} | {failed} | {slow} |")
        lines.append("")
    return "\n".join(lines)


def about(part):
    return f"Measured {part['date']} on {part['machine']}, in {part['minutes']:.0f} min."


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--cases", type=int, default=10, help="of each fault (default 10)")
    parser.add_argument("--mutants", type=int, default=2000, help="of each kind (default 2000)")
    parser.add_argument("--only", default="", help="faults or kinds with this in their name")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {min(unknown)}; there are {', '.join(PARTS)}")
    for name in arguments.parts or PARTS:
        folder, start = tempfile.mkdtemp(), time.time()
        try:
            count = arguments.mutants if name == "hostile" else arguments.cases
            rows = PARTS[name](folder, count, arguments.only)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        computer = "{processor}, {cores} cores".format(**machine())
        results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        minutes = (time.time() - start) / 60
        if arguments.only and name in results:  # these rows take the place of their like
            new = {key(row): row for row in rows}
            minutes += results[name]["minutes"]
            rows = [new.pop(key(row), row) for row in results[name]["rows"]] + list(new.values())
        results[name] = {
            "date": str(date.today()),
            "machine": computer,
            "minutes": minutes,
            "rows": rows,
        }
        with replacing(RESULTS) as temporary:
            temporary.write_text(json.dumps(results, indent=1, ensure_ascii=False), "utf-8")
        with replacing(PAGE) as temporary:
            temporary.write_text(page(results), "utf-8")


def key(row):
    """What a row is about."""
    return tuple(row[name] for name in ("how", "where", "kind", "filter") if name in row)


if __name__ == "__main__":
    main()
