"""The event-driven network: a race on the spiking case, and how many synaptic events its presentations hold."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.case import Case
from benchmarks.cases import spikes
from benchmarks.race import Say, Variant, race
from benchmarks.spikes import DT
from benchmarks.variants import EVENTS, FROZEN, beside


def events(
    repeats: int,
    seconds: float,
    check: int,
    environments: Path | None,
    say: Say,
    case: Case | None = None,
    against: Path | None = None,
) -> dict[str, Any]:
    """Time every peer on the spiking case, bioFA also as the build `against`; other arguments as `race`.

    Returns:
        Its rows, the synaptic events and the seconds of biological time of a presentation, and the mean rates in Hz;
        and the same (`frozen`) at a learning rate of 0, for NEST, which has no such rule.
    """
    case = case or spikes()
    still = dataclasses.replace(case, name=f"{case.name}, weights that stay", rate=0.0)
    return _measured(beside(EVENTS, against), case, repeats, seconds, check, environments, say) | {
        "frozen": _measured(FROZEN, still, repeats, seconds, check, environments, say)
    }


def _measured(
    variants: Sequence[Variant],
    case: Case,
    repeats: int,
    seconds: float,
    check: int,
    environments: Path | None,
    say: Say,
) -> dict[str, Any]:
    rows = race(variants, [case], repeats, seconds, check, environments, say)
    hidden = hidden_spikes(case)
    n_in, n_hidden, n_out = case.sizes
    shown = float(case.inputs.sum()) / len(case.targets)
    lasts = case.steps * DT
    return {
        "rows": rows,
        "biological_s": lasts,
        "events": shown * n_hidden + hidden * n_out,
        "input_hz": shown / n_in / lasts,
        "hidden_hz": hidden / n_hidden / lasts,
        "hidden_spikes": hidden * len(case.targets),
    }


def hidden_spikes(case: Case) -> float:
    """Spikes of the hidden layer in a presentation, over one pass through the frozen input."""
    from benchmarks.peers.biofa import PATHWAYS, experiment
    from bioFA.consumers.brian.run import Compiled
    from bioFA.instance import draw

    with tempfile.TemporaryDirectory(prefix="biofa-events-") as scratch:
        instance = draw(experiment(case, Path(scratch) / "data.npz"), 1)
        state = {**instance.state, **{there: getattr(case, here) for here, there in PATHWAYS.items()}}
        segment = Compiled(instance).segment(
            state, instance.training(0, len(case.targets)), learning=True, rasters=True
        )
    return float(segment.rasters["hidden"].sum()) / len(case.targets)
