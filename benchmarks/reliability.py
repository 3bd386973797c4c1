"""Provoke faults, count them and write docs/reliability.md.

    python benchmarks/reliability.py                 # everything, about an hour
    python benchmarks/reliability.py hostile numbers # only these parts; the others stay as they were
    python benchmarks/reliability.py --page          # no new results: only the page

Results are kept in benchmarks/results/reliability.json, part by part. What benchmarks/concurrency.py
measured, which takes a quiet machine, goes onto the same page.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from datetime import date
from pathlib import Path

import concurrency
import conditions
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

<!-- written by benchmarks/reliability.py -->

difffilter is tested against faults, malformed files and extreme numbers. `make faults` repeats the tests
and writes this page; every line is measured, and failures would be listed.
"""

# Seen outside the runs of which the page tells.
KNOWN = (
    "Not in this table: in another run, one of about 170 SIGINTs to `smooth photo.png` (the default "
    "method) ended the process by a segmentation fault, with nothing half written. Its cause is not "
    "known, and it has not come again."
)


def provoked(folder, cases, only):
    """One row for each fault."""
    rows = []
    for how, where, provoke in faults.FAULTS:
        if only and only not in f"{how}, {where}":
            continue
        # Training starts PyTorch each time.
        count = max(1, cases // 5) if where == "train" else cases
        start = time.time()
        done, said = outcome(provoke, Path(folder) / "scene", count)
        rows.append({"how": how, "where": where, "cases": done, "said": said})
        print(f"{how}, {where}: {done} cases, {said}, {time.time() - start:.0f} s", flush=True)
    return rows


def met(folder, cases, only):
    """One row for each condition."""
    rows = []
    for what, before, make in conditions.CONDITIONS:
        if only and only not in what:
            continue
        done, said = outcome(make, Path(folder) / "scene", cases)
        rows.append({"condition": what, "before": before, "cases": done, "said": said})
        print(f"{what}: {done} cases, {said}", flush=True)
    return rows


def outcome(function, folder, cases):
    """The number of cases, and whether they passed."""
    try:
        return function(folder, cases), "passed"
    except AssertionError as error:
        return cases, f"FAILED: {' '.join(str(error).split())[:200]}"


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


PARTS = {"faults": provoked, "conditions": met, "hostile": mutated, "numbers": numbers}


def page(results):
    """The page, as Markdown, of all parts that have results."""
    lines = [HEAD]
    if part := results.get("faults"):
        lines += [
            f"## Faults\n\n{about(part)} Each case stops a real process of the command line at a "
            "different moment. A case passes if no incomplete result is left, the message is one "
            "line without a traceback, and a second run finishes the job with the correct result.\n",
            f"{KNOWN}\n",
            "| fault | during | cases | result |",
            "|---|---|---|---|",
        ]
        for how, rows in grouped(part["rows"]).items():
            during = "; ".join(row["where"].replace(",", "") for row in rows)
            failed = [f"{row['where']}: {row['said']}" for row in rows if not passed(row)]
            cases = sum(row["cases"] for row in rows)
            lines.append(f"| {how} | {during} | {cases} | {'; '.join(failed) or 'passed'} |")
        lines.append("")
    if part := results.get("conditions"):
        lines += [
            f"## Conditions\n\n{about(part)} A case passes if the result is right, or the refusal one "
            "line that says why. *Before* is what happened in earlier versions.\n",
            "| condition | before | cases | now |",
            "|---|---|---|---|",
        ]
        for r in part["rows"]:
            lines.append(f"| {r['condition']} | {r['before']} | {r['cases']} | {r['said']} |")
        lines.append("")
    if part := results.get("hostile"):
        lines += [
            f"## Hostile files\n\n{about(part)} Valid files with one to four mutations each: flipped "
            "bits, changed numbers, pieces missing, duplicated or inserted, and malicious words in "
            "text. A case fails with a traceback, a crash, a file written elsewhere, more than "
            f"{hostile.SECONDS} s of CPU time or {hostile.BYTES >> 30} GB of memory.\n",
            "| format | cases | processed | refused in one line | failed | slowest | most memory |",
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
            f"## Extreme numbers\n\n{about(part)} The images: "
            f"{'; '.join(extremes.IMAGES)}. A result must be finite and, for filters with a maximum "
            "principle, within the range of the image to rounding; `ddpm` refuses images far outside "
            "[0, 1]. *Subnormal* is the time for subnormal numbers over that for numbers in [0, 1].\n",
            "| filter | images | failed | subnormal |",
            "|---|---|---|---|",
        ]
        for r in part["rows"]:
            slow = "" if r["slowdown"] is None else f"{r['slowdown']:.2f}"
            failed = "; ".join(r["bad"]) or "0"
            lines.append(f"| `{r['filter']}` | {r['cases']} | {failed} | {slow} |")
        lines.append("")
    if concurrency.RESULTS.exists():
        lines.append("#" + concurrency.RESULTS.read_text("utf-8"))
    return "\n".join(lines)


def grouped(rows):
    """Fault to its rows, in order."""
    groups = {}
    for row in rows:
        groups.setdefault(row["how"], []).append(row)
    return groups


def passed(row):
    return not row["said"].startswith("FAILED")


def about(part):
    """When and where the rows of a part were measured, which may be in several runs."""
    when = sorted({row["measured"] for row in part["rows"]}, reverse=True)
    return f"Measured {', in part '.join(when)}, in {part['minutes']:.0f} min."


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--cases", type=int, default=10, help="of each fault (default 10)")
    parser.add_argument("--mutants", type=int, default=2000, help="of each kind (default 2000)")
    parser.add_argument("--only", default="", help="faults or kinds with this in their name")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {min(unknown)}; there are {', '.join(PARTS)}")
    for name in () if arguments.page else arguments.parts or PARTS:
        folder, start = tempfile.mkdtemp(), time.time()
        try:
            count = arguments.mutants if name == "hostile" else arguments.cases
            rows = PARTS[name](folder, count, arguments.only)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        measured = f"{date.today()} on " + "{processor}, {cores} cores".format(**machine())
        rows = [row | {"measured": measured} for row in rows]
        results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        minutes = (time.time() - start) / 60
        if arguments.only and name in results:  # these rows take the place of their like
            new = {key(row): row for row in rows}
            minutes += results[name]["minutes"]
            rows = [new.pop(key(row), row) for row in results[name]["rows"]] + list(new.values())
        results[name] = {"minutes": minutes, "rows": rows}
        with replacing(RESULTS) as temporary:
            temporary.write_text(json.dumps(results, indent=1, ensure_ascii=False), "utf-8")
    with replacing(PAGE) as temporary:
        temporary.write_text(page(json.loads(RESULTS.read_text("utf-8"))), "utf-8")


def key(row):
    """The subject of a row."""
    return tuple(
        row[name] for name in ("how", "where", "condition", "kind", "filter") if name in row
    )


if __name__ == "__main__":
    main()
