"""What the tables of a finished comparison cost: `python -m benchmarks.outcomes [--against CHECKOUT]`.

Outcomes are made up: 20 conditions with 5 and with 50 seeds. Seconds are of the processor, for `summary` and
`write_tables`, each in a process of its own. `--against` names a checkout of another commit, which is timed in turn on
the same table.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import bioFA

CONDITIONS = 20
TIMED = """
import sys, time, pandas
from pathlib import Path
try:
    from bioFA.comparisons.outcomes import read_outcomes, summary
    from bioFA.comparisons.run import write_tables
    from bioFA.comparisons.table import Sweep, read
except ImportError:
    from bioFA.compare import summary, write_tables
    from bioFA.sweep import Sweep, read
    read_outcomes = lambda sweep: sweep

def counted(self, job, outcome=Sweep.outcome):
    began = time.process_time()
    try:
        return outcome(self, job)
    finally:
        reads.append(time.process_time() - began)

reads, Sweep.outcome = [], counted
sweep = read(Path(sys.argv[1]))
began = time.process_time()
outcomes = read_outcomes(sweep)
summary(outcomes)
write_tables(outcomes)
print(len(reads), sum(reads), time.process_time() - began)
"""
MADE = """
import runpy, sys
from pathlib import Path
try:
    from bioFA.comparisons import plan
except ImportError:
    from bioFA import compare as plan
fabricate = runpy.run_path(sys.argv[3])["fabricate"]
fabricate(plan, Path(sys.argv[1]), int(sys.argv[2]))
"""


def fabricate(plan: ModuleType, folder: Path, seeds: int) -> None:
    """A comparison whose every run has finished, with numbers that were made up.

    Args:
        plan: the module that plans comparisons.
        folder: a new one.
        seeds: of each condition.
    """
    rates = ",".join(f"{0.001 * (number + 1):g}" for number in range(CONDITIONS))
    request = plan.Request(("linear",), ("fa",), seeds, (f"circuit.schemes.fa.rule.learning_rate={rates}",))
    found = plan.begin(request, folder)
    chance, result = random.Random(1), b"x" * 20_000
    for job in found.jobs:
        experiment = found.experiment(job)
        text = bioFA.dumps(experiment)
        outcome = json.dumps({
            "status": "finished",
            "experiment_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "seed": job.seed,
            "result_sha256": hashlib.sha256(result).hexdigest(),
            "result_bytes": len(result),
            "presentations": 2000,
            "wall_s": 1.0,
            "metrics": {"nse": 0.1, "test_nse": 0.05 * (1 + job.condition / 10) * (1 + chance.random())},
            "alignment": {"mismatch_to_hidden": 50.0 + chance.random()},
            "findings": [],
            "message": "",
            "timing": {"cached": True, "codegen_s": 0.0, "compile_s": 0.0},
            "provenance": {"versions": {}},
            "course": {
                "at": list(range(200)),
                "nse": [0.1] * 200,
                "evaluations": [],
                "alignment": {},
                "snapshots_at": [],
            },
        })
        place = found.place(job)
        place.mkdir(parents=True, exist_ok=True)
        (place / "result.h5").write_bytes(result)
        (place / "outcome.json").write_text(
            json.dumps({"sha256": hashlib.sha256(outcome.encode()).hexdigest(), "outcome": outcome})
        )


def _python(program: str, checkout: Path, *arguments: str) -> str:
    """What a program prints that runs on the bioFA of a checkout."""
    command = [sys.executable, "-c", program, *arguments]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    return subprocess.run(command, env=environment, cwd=checkout, stdout=subprocess.PIPE, text=True, check=True).stdout


class Cost(NamedTuple):
    """Seconds of the processor for the tables of a comparison, and of these for reading and proving outcomes."""

    reads: int
    reading: float
    whole: float


def cost(checkout: Path, folder: Path, seeds: int) -> Cost:
    """Make a comparison and time its tables, both by a checkout."""
    _python(MADE, checkout, str(folder), str(seeds), str(Path(__file__).resolve()))
    reads, reading, whole = _python(TIMED, checkout, str(folder)).split()
    found = Cost(int(reads), float(reading), float(whole))
    print(
        f"{checkout.name}, {CONDITIONS * seeds} runs: {found.reads} reads, "
        f"{found.reading:.3f} s of reading and proving, {found.whole:.2f} s in all"
    )
    return found


def main() -> None:
    """Make the tables, time them, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT",
        help="another commit's checkout; takes minutes where it reads an outcome at every use",
    )
    here, chosen = Path(__file__).resolve().parent.parent, parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        few, many = cost(here, Path(scratch) / "few", 5), cost(here, Path(scratch) / "many", 50)
        print(f"1,000 runs take {many.whole / few.whole:.1f} times as long as 100")
        if chosen.against:
            other = cost(chosen.against.resolve(), Path(scratch) / "other", 5)
            print(f"reading and proving: 1/{other.reading / few.reading:.0f}")
            print(f"the whole: 1/{other.whole / few.whole:.0f}")


if __name__ == "__main__":
    main()
