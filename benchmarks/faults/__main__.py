"""The campaign: `python -m benchmarks.faults PART ... [--cases N] [--kinds a,b] [--seed S]`.

Parts: `mutate` reads damaged and crafted files of every kind; `kill` kills commands at every rename and
at random moments; `fill` lets disks run full; `race` lets two processes work in one folder. Without a
part, all of them. It takes hours with the numbers that a release is measured by (100,000 cards and decks,
20,000 files of each other kind, 200 kills of each command), and is no part of CI;
`tests/test_faults.py` runs a short form of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

PARTS = ("mutate", "kill", "fill", "race")


def main() -> int:
    """Run the parts asked for, print their counts, and return 1 where there was any fault."""
    given = _arguments()
    if given.keep is not None:
        return _keep(given)
    faults = 0
    for part in given.parts or PARTS:
        faults += _mutate(given) if part == "mutate" else _processes(part, given)
    return int(faults > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--cases", type=int, help="files of each kind, or runs of each command")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--kinds", help="kinds of files, or commands, joined by commas; all, without")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="stop each kind of file after this long")
    parser.add_argument("--by-damage", action="store_true", help="print a row for each kind of damage")
    parser.add_argument(
        "--keep", type=Path, help="write case --first of the one kind to this folder, and read it"
    )
    given = parser.parse_args()
    if set(given.parts) - set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")
    return given


def _mutate(given: argparse.Namespace) -> int:
    from benchmarks.faults.kinds import KINDS
    from benchmarks.faults.mutate import FAULTS, OUTCOMES, Tally, cases

    table = Table(
        "kind", "cases", *OUTCOMES, "slowest", "MiB", title=f"damaged and crafted files, seed {given.seed}"
    )
    faults = 0
    for name in given.kinds.split(",") if given.kinds else KINDS:
        count = given.cases or (100_000 if name in ("card", "deck") else 20_000)
        tally, started = Tally(), time.monotonic()
        for case in cases(name, given.seed, range(given.first, given.first + count)):
            tally.add(case)
            if case.outcome in FAULTS:
                what = f"{case.outcome}, {case.seconds:.1f} s: {case.note}"
                print(f"{name} {case.number} ({case.damage}): {what}", file=sys.stderr, flush=True)
            done = case.number + 1 - given.first
            if done % 2000 == 0 or done == count:
                row = ", ".join(
                    f"{outcome} {found}" for outcome, found in zip(OUTCOMES, tally.row(), strict=True)
                )
                print(f"{name}, {done:,} cases from {given.first:,}: {row}", file=sys.stderr, flush=True)
            if given.minutes is not None and time.monotonic() - started > 60 * given.minutes:
                break
        read = f"{sum(tally.counts.values()):,}"
        table.add_row(name, read, *tally.row(), f"{tally.slowest:.2f} s", str(tally.mebibytes))
        for damage in dict.fromkeys(damage for damage, _ in tally.counts) if given.by_damage else ():
            table.add_row(f"  {damage.replace('_', ' ')}", "", *tally.row(damage), "", "")
        faults += tally.faults
    Console(width=160).print(table)
    return faults


def _keep(given: argparse.Namespace) -> int:
    """Write one case's files where they can be looked at, and read them, with the traceback there is."""
    from benchmarks.faults.kinds import KINDS
    from benchmarks.faults.mutate import Subject

    given.keep.mkdir(parents=True, exist_ok=True)
    subject = Subject(KINDS[given.kinds], given.keep)
    print(subject.case(given.seed, given.first))
    print(subject.kind.read(subject.folder / subject.kind.name))
    return 0


def _processes(part: str, given: argparse.Namespace) -> int:
    from benchmarks.faults import processes

    console = Console(width=160)
    table, faults = processes.PARTS[part](
        given.kinds.split(",") if given.kinds else None, given.cases, given.seed
    )
    console.print(table)
    for fault in faults:
        print(fault, file=sys.stderr)
    return len(faults)


if __name__ == "__main__":
    sys.exit(main())
