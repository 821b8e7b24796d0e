"""What starting costs: `python -m benchmarks.start [--against CHECKOUT] [--rounds N] [COMMAND ...]`.

Each command is timed as a whole process with everything that it starts, after one that compiled its program and
modules. Given are medians of processor time and of wall time. `--against` names a checkout of another commit, which is
timed in turn with this one, by the same interpreter and packages, so that what else the machine does falls on both.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent.parent
COMMANDS = {
    "run": ("-m", "bioFA", "run", "linear", "--json", "--out"),
    "list": ("-m", "bioFA", "list", "--json"),
    "help": ("-m", "bioFA", "--help"),
    "import": ("-c", "import bioFA"),
}


class Cost(NamedTuple):
    """What a process took, in milliseconds."""

    processor: float
    wall: float


def measure(command: str, checkout: Path, scratch: Path) -> Cost:
    """Run a command once.

    Args:
        command: one of `COMMANDS`.
        checkout: the commit that runs it.
        scratch: a folder that the checkout's runs have in common; it keeps what they compile.
    """
    environment = os.environ | {
        "PYTHONPATH": str(checkout),
        "PYTHONPYCACHEPREFIX": str(scratch / "modules"),
        "PYTHONDONTWRITEBYTECODE": "",
        "BIOFA_CACHE": str(scratch / "programs"),
    }
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        given = [sys.executable, *COMMANDS[command], *([f"{folder}/out"] if command == "run" else [])]
        began = time.perf_counter()
        process = subprocess.Popen(given, cwd=checkout, env=environment, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{checkout}: '{command}' ended with {process.returncode}")
    return Cost((used.ru_utime + used.ru_stime) * 1e3, wall * 1e3)


def race(command: str, checkouts: list[Path], rounds: int, scratch: Path) -> list[Cost]:
    """The median cost of a command in each checkout, timed in turn."""
    places = [(checkout, scratch / str(number)) for number, checkout in enumerate(checkouts)]
    for checkout, place in places:
        place.mkdir(exist_ok=True)
        measure(command, checkout, place)  # compiles
    costs = [[measure(command, *place) for place in places] for _ in range(rounds)]
    return [Cost(*map(statistics.median, zip(*column, strict=True))) for column in zip(*costs, strict=True)]


def main() -> None:
    """Time each command and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(COMMANDS)}; else all")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another commit's checkout")
    parser.add_argument("--rounds", type=int, default=11, metavar="N", help="how often each is timed (%(default)s)")
    chosen = parser.parse_args()
    if unknown := set(chosen.commands) - set(COMMANDS):
        parser.error(f"no such command: {', '.join(sorted(unknown))}")
    checkouts = [HERE, *([chosen.against.resolve()] if chosen.against else [])]
    with tempfile.TemporaryDirectory() as scratch:
        for command in chosen.commands or COMMANDS:
            costs = race(command, checkouts, chosen.rounds, Path(scratch))
            line = "; ".join(f"{cost.processor:5.0f} ms of processor, {cost.wall:5.0f} ms in all" for cost in costs)
            if chosen.against:
                line += f"; {costs[0].processor / costs[1].processor:.2f} x and {costs[0].wall / costs[1].wall:.2f} x"
            print(f"{command:6s} {line}", flush=True)


if __name__ == "__main__":
    main()
