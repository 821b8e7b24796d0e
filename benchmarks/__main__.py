"""`python -m benchmarks`: run every part and write results.md and results.json."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    builds,
    cases,
    check,
    events,
    exports,
    machine,
    memory,
    networks,
    pictures,
    scale,
    scaling,
    sweep,
    table,
)  # fmt: skip
from benchmarks.race import THREADS, race
from benchmarks.variants import MINIBATCH, RACE, beside

PARTS = (
    "race", "minibatch", "builds", "widths", "lengths", "sweep", "memory", "events", "exports", "networks", "scale",
)  # fmt: skip


def main() -> None:
    """Read the command line, run, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Time bioFA beside other ways to run the same learning network."
    )
    parser.add_argument("--quick", action="store_true", help="few and short samples: minutes instead of an hour")
    parser.add_argument(
        "--only", action="append", choices=PARTS, metavar="NAME", help=f"one part; may be repeated: {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--environments",
        type=Path,
        metavar="DIR",
        help="folder for the environments of peers from the package index; made on the first use",
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent, metavar="DIR", help="where results.md and results.json go"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="a checkout of another build, timed beside this one in the same rounds (race, minibatch, events)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help=(
            "samples of each peer, in turns, instead of 7 (3 with --quick), and at most as many where fewer are taken"
            " anyway; they last as long as without it"
        ),
    )
    small = parser.add_mutually_exclusive_group()
    small.add_argument(
        "--check",
        action="store_true",
        help="only hold ratios to the plain loop to benchmarks/ratios.json; exit code 1 where one is a quarter worse",
    )
    small.add_argument("--store", action="store_true", help="only write benchmarks/ratios.json anew")
    options = parser.parse_args()
    if options.against and not (options.against / "benchmarks" / "peers" / "biofa.py").is_file():
        parser.error(f"--against {options.against} is no checkout of bioFA: it has no benchmarks/peers/biofa.py")
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1 is needed")
    os.environ.update(THREADS)
    began = time.perf_counter()

    def say(message: str) -> None:
        print(f"[{time.perf_counter() - began:5.0f} s] {message}", file=sys.stderr, flush=True)

    if options.check:
        sys.exit("\n".join(check.check(say)) or 0)
    if options.store:
        check.store(say)
        return
    repeats = options.rounds or (3 if options.quick else 7)
    command = shlex.join([
        "python",
        "-m",
        "benchmarks",
        *(["--quick"] if options.quick else []),
        *([f"--rounds={options.rounds}"] if options.rounds else []),
        *(f"--only={name}" for name in options.only or ()),
        *(["--against", options.against.name] if options.against else []),
    ])
    results: dict[str, Any] = {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "repeats": repeats,
        "quick": options.quick,
        "machine": machine.describe(),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, work in parts(options.quick, repeats, options.environments, say, options.against).items():
        if not options.only or name in options.only:
            say(f"{name}:")
            started = time.perf_counter()
            results[name] = work()
            say(f"{name} took {time.perf_counter() - started:.0f} s")
            results["pictures"] = pictures.draw({part: results[part] for part in PARTS if part in results}, options.out)
            (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
            (options.out / "results.md").write_text(table.markdown(results))
    print(table.markdown(results))


def parts(
    quick: bool, repeats: int, environments: Path | None, say: Callable[[str], None], against: Path | None = None
) -> dict[str, Callable[[], Any]]:
    """The parts of the benchmark by name."""
    sizes = (100, 1000, 3000) if quick else (100, 200, 300, 500, 1000, 1500, 2000, 3000, 4500, 6000, 9000)
    counts = (10, 1000, 100_000) if quick else (10, 100, 1000, 10_000, 100_000, 1_000_000)
    few = 1 if quick else min(3, repeats)
    return {
        "builds": lambda: {"cold": builds.cold(few, say), "warm": builds.warm(repeats, say)},
        "race": lambda: race(
            beside([v for v in RACE if v.quick or not quick], against), [cases.linear(), cases.logistic()], repeats,
            0.3 if quick else 2.0, 200 if quick else 2000, environments, say,
        ),
        "minibatch": lambda: race(
            beside([v for v in MINIBATCH if v.quick or not quick], against), [cases.minibatch()], repeats,
            0.3 if quick else 2.0, 200 if quick else 2000, environments, say,
        ),
        "widths": lambda: scaling.widths(sizes, 1 if quick else repeats, 0.2 if quick else 1.5, say),
        "lengths": lambda: scaling.lengths(counts, few, say),
        "sweep": lambda: sweep.sweep(10 if quick else 50, few, say),
        "events": lambda: events.events(
            repeats, 0.3 if quick else 2.0, 10 if quick else 20, environments, say, against=against
        ),
        "exports": lambda: exports.exports(repeats, say),
        "networks": lambda: networks.networks(repeats, 0.1 if quick else 1.0, environments, say),
        "memory": lambda: memory.memory(2000 if quick else 60_000, say),
        "scale": lambda: scale.scale(
            [(10_000, 200, 1)]
            if quick
            else [(neurons, indegree, min(most, repeats)) for neurons, indegree, most in scale.SIZES],
            scale.DURATION, say,
        ),
    }


if __name__ == "__main__":
    main()
