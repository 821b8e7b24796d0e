"""The small tier: costs as multiples of the plain loop's, held to the ratios in `ratios.json`.

A ratio hardly depends on how busy a machine is, but it does on its processor: store them anew on another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cases
from benchmarks.machine import describe
from benchmarks.race import Say, Variant, race
from benchmarks.table import PLAIN, paired
from benchmarks.variants import BIOFA, BIOFA32, PLAIN32
from benchmarks.variants import PLAIN as LOOP

STORED = Path(__file__).with_name("ratios.json")
WORSE = 1.25
"""A ratio that is larger than the stored one by this factor is a failure."""
TRIES = 3
"""A ratio that seems worse is measured so often before it counts: the smallest does."""
ROUNDS, SECONDS, CHECKED = 5, 0.15, 200
PEERS = (LOOP, PLAIN32, BIOFA, BIOFA32)


def ratios(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """By case, name and precision, a cost over that of the plain loop of the same precision."""
    timed = {(row["case"], row["name"], row["precision"]): row["ns"] for row in rows if row["status"] == "timed"}
    return {
        f"{case}, {name}, {precision}": paired(ns, timed[case, PLAIN, precision])
        for (case, name, precision), ns in timed.items()
        if name != PLAIN and (case, PLAIN, precision) in timed
    }


def worse(found: dict[str, float], stored: dict[str, float]) -> list[str]:
    """What is missing, or worse than stored by a quarter, in words."""
    words = []
    for name, before in stored.items():
        now = found.get(name)
        if now is None:
            words.append(f"{name}: not measured; {before:.2f} x the plain loop is stored.")
        elif now > WORSE * before:
            words.append(f"{name}: {now:.2f} x the plain loop; stored is {before:.2f} ({now / before:.2f} times that).")
    return words


def measure(say: Say, peers: Sequence[Variant] = PEERS) -> dict[str, float]:
    """The ratios of this build on this machine."""
    return ratios(race(peers, [cases.linear(), cases.logistic(100)], ROUNDS, SECONDS, CHECKED, None, say))


def of_processor(stored: Path = STORED) -> str:
    """The processor that the stored ratios were measured on."""
    return str(json.loads(stored.read_text())["processor"])


def check(say: Say, measured: Callable[[Say], dict[str, float]] = measure, stored: Path = STORED) -> list[str]:
    """Measure and compare, again where something seems worse: what a busy moment made so is not so twice.

    Returns:
        What is worse, in words; nothing where all is well.
    """
    before, meant = json.loads(stored.read_text())["ratios"], of_processor(stored)
    if meant != describe()["processor"]:
        say(f"The ratios are of another processor, {meant}: --store writes those of this one.")
    best: dict[str, float] = {}
    words: list[str] = []
    for number in range(TRIES):
        for name, ratio in measured(say).items():
            best[name] = min(ratio, best.get(name, ratio))
        words = worse(best, before)
        if not words:
            break
        say(f"measurement {number + 1} of {TRIES}: " + " ".join(words))
    for name, ratio in best.items():
        say(f"{name}: {ratio:.2f} x the plain loop")
    return words


def store(say: Say, measured: Callable[[Say], dict[str, float]] = measure, stored: Path = STORED) -> None:
    """Keep the ratios of this build on this machine, rounded up, for later ones to be held to."""
    found = {name: round(ratio + 0.005, 2) for name, ratio in sorted(measured(say).items())}
    stored.write_text(json.dumps({"processor": describe()["processor"], "ratios": found}, indent=1) + "\n")
