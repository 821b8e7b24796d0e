"""What the tables of a finished comparison cost: `python -m benchmarks.outcomes [--against CHECKOUT]`.

Outcomes are made up: 20 conditions with 5 and with 50 seeds. Seconds are of the processor, for `summary` and
`write_tables`, each in a process of its own.
`--against` names a checkout of another commit, which is timed in turn on the same table.
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

import bioFA

CONDITIONS = 20
TIMED = """
import sys, time, pandas
from pathlib import Path
try:
    from bioFA.comparisons import compare, sweep
except ImportError:
    from bioFA.comparisons import compare
    from bioFA.comparisons import sweep
found = sweep.read(Path(sys.argv[1]))
began = time.process_time()
compare.summary(found)
compare.write_tables(found)
print(time.process_time() - began)
"""
MADE = """
import sys
from pathlib import Path
try:
    from bioFA.comparisons import compare
except ImportError:
    from bioFA.comparisons import compare
from benchmarks.outcomes import fabricate
fabricate(compare, Path(sys.argv[1]), int(sys.argv[2]))
"""


def fabricate(compare: ModuleType, folder: Path, seeds: int) -> None:
    """A comparison whose every run has finished, with numbers that were made up.

    Args:
        compare: the module that plans comparisons.
        folder: a new one.
        seeds: of each condition.
    """
    rates = ",".join(f"{0.001 * (number + 1):g}" for number in range(CONDITIONS))
    request = compare.Request(("linear",), ("fa",), seeds, (f"circuit.schemes.fa.rule.learning_rate={rates}",))
    found = compare.begin(request, folder)
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
    paths = os.pathsep.join([str(checkout), str(Path(__file__).resolve().parent.parent)])
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": paths},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def main() -> None:
    """Make both tables, time them, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="another commit's checkout; takes minutes where it reads an outcome at every use",
    )
    here, chosen = Path(__file__).resolve().parent.parent, parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        seconds = {}
        for seeds in (5, 50):
            _python(MADE, here, f"{scratch}/{seeds}", str(seeds))
            seconds[seeds] = float(_python(TIMED, here, f"{scratch}/{seeds}"))
            print(f"{CONDITIONS * seeds:5d} runs: {seconds[seeds]:.2f} s")
        print(f"1,000 runs take {seconds[50] / seconds[5]:.1f} times as long as 100")
        if chosen.against:
            other = chosen.against.resolve()
            _python(MADE, other, f"{scratch}/other", "5")
            theirs = float(_python(TIMED, other, f"{scratch}/other"))
            print(f"{other.name}: {theirs:.2f} s for 100 runs, {theirs / seconds[5]:.0f} times as long")


if __name__ == "__main__":
    main()
