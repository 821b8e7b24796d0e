"""Free networks with static weights: `coba` (4,000 neurons) and `random_ei` (12,500) in bioFA, stock Brian2 and NEST.

Every peer gets the same description. bioFA and Brian2 have the same synapses and first values too, and draw background
spikes with numbers of their own; NEST draws all of it, by the same rules (`nest_networks.py`). All record every spike.
A sample is a long run less a short one, in seconds of the processor, so that starting, reading and writing cancel out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import bioFA
from benchmarks.race import ROOT, THREADS, Absent, Say, Variant, python_of
from bioFA.instance import draw

MODELS = ("coba", "random_ei")
SEED = 2
SHORT = 100
"""Steps of the short run."""
PEERS = (
    Variant("bioFA", "networks_biofa"),
    Variant("bioFA, 2 threads", "networks_biofa", options=("2",)),
    Variant("stock Brian2 standalone", "networks_brian2"),
    Variant("NEST", "networks_nest", packages=("nest-simulator>=3.10",)),
)


class _Started:
    """A running peer."""

    def __init__(self, variant: Variant, model: str, folder: str, environments: Path | None):
        if variant.module == "networks_nest" and importlib.util.find_spec("nest"):
            variant = replace(variant, packages=())  # this interpreter has it
        command = [python_of(variant, environments), "-m", f"benchmarks.peers.{variant.module}", model, str(SEED)]
        self._process = subprocess.Popen(
            [*command, *variant.options], cwd=folder, env=os.environ | THREADS | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.about = self.answer()

    def answer(self) -> dict[str, Any]:
        """The peer's next line."""
        assert self._process.stdout is not None
        line = next((line for line in self._process.stdout if line.startswith("{")), "")
        if not line:
            raise Absent(f"ended with exit code {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def run(self, steps: int) -> dict[str, Any]:
        """What so many steps took."""
        return together([self], steps)[0]

    def begin(self, steps: int) -> None:
        """Begin to run so many steps."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """End the peer, which removes its files."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def together(peers: Sequence[_Started], steps: int) -> list[dict[str, Any]]:
    """What so many steps took of each peer, all at once."""
    for peer in peers:
        peer.begin(steps)
    return [peer.answer() for peer in peers]


def ceiling(model: str, rounds: int) -> None:
    """Print how much faster two threads are than one, and how much slower each of two programs that have nothing to do
    with each other is than one alone: what caches, memory and clock of the machine leave to a second core."""
    protocol = bioFA.load(model).protocol
    long = protocol.shown_steps
    seconds: dict[str, list[float]] = {"alone": [], "beside another": [], "two threads": []}
    with tempfile.TemporaryDirectory(prefix="biofa-networks-") as folder, ExitStack() as stack:
        one, other, two = (_Started(variant, model, folder, None) for variant in (PEERS[0], PEERS[0], PEERS[1]))
        for peer in (one, other, two):
            stack.callback(peer.stop)
        for _ in range(rounds):
            for name, peers in zip(seconds, ([one], [one, other], [two]), strict=True):
                more, less = together(peers, long), together(peers, SHORT)
                wall = [a["wall"] - b["wall"] for a, b in zip(more, less, strict=True)]
                seconds[name].append(sum(wall) / len(wall) / ((long - SHORT) * protocol.step))
    alone = seconds["alone"]
    slower = median(b / a for a, b in zip(alone, seconds["beside another"], strict=True))
    faster = median(a / b for a, b in zip(alone, seconds["two threads"], strict=True))
    for name, found in seconds.items():
        print(f"{model}, {name}: {median(found):.3g} s a simulated second ({min(found):.3g} to {max(found):.3g})")
    print(f"two programs at once do {2 / slower:.2f} times the work of one, two threads are {faster:.2f} times as fast")


def networks(repeats: int, share: float, environments: Path | None, say: Say) -> list[dict[str, Any]]:
    """Time every peer on every network, in turns.

    Args:
        repeats: samples of each.
        share: of the model's duration that a long run lasts.
        environments: folder of the peers' environments; NEST is missing where None and it is not installed here.
        say: is told about progress.

    Returns:
        A row for each network and peer: `processor`, `wall` (s a simulated second, a value for each sample), `spikes` a
        simulated second, `synapses` that a spike passes; or the `reason` why it is missing.
    """
    rows = []
    for model in MODELS:
        instance = draw(bioFA.load(model), SEED)
        protocol = instance.experiment.protocol
        long = int(share * protocol.shown_steps)
        neurons = sum(p.size for p in instance.network.populations)
        passes = sum(len(one.post) for one in instance.synapses.values()) / neurons
        del instance
        with tempfile.TemporaryDirectory(prefix="biofa-networks-") as folder, ExitStack() as stack:
            started = []
            for variant in PEERS:
                row: dict[str, Any] = {
                    "model": model, "name": variant.name, "reason": "", "synapses": passes, "processor": [], "wall": [],
                }  # fmt: skip
                rows.append(row)
                try:
                    peer = _Started(variant, model, folder, environments)
                except Absent as reason:
                    row["reason"] = str(reason)
                    say(f"{model}: {variant.name} is missing: {reason}")
                    continue
                stack.callback(peer.stop)
                started.append((row, peer))
                row |= peer.about
                say(f"{model}: {variant.name} is ready")
            for number in range(repeats):
                say(f"{model}: round {number + 1} of {repeats}")
                for row, peer in started:
                    _sample(row, peer, long, protocol.step)
    return rows


def _sample(row: dict[str, Any], peer: _Started, long: int, step: float) -> None:
    """A long run less a short one, in seconds a simulated second."""
    more, less = peer.run(long), peer.run(SHORT)
    lasts = (long - SHORT) * step
    for name in ("processor", "wall"):
        row[name].append((more[name] - less[name]) / lasts)
    row["spikes"] = (more["spikes"] - less["spikes"]) / lasts


def ratio(rows: list[dict[str, Any]], row: dict[str, Any], base: str) -> float | None:
    """How many times as fast a peer is as another on the same network, by the median of their processor time."""
    beside = next((r for r in rows if r["model"] == row["model"] and r["name"] == base), None)
    if beside is None or not beside["processor"] or not row["processor"]:
        return None
    return median(beside["processor"]) / median(row["processor"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=ceiling.__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    ceiling(given.model, given.rounds)
