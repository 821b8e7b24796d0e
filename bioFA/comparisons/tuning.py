"""Choice of learning rates: every scheme is searched on the same grid, with as many runs, on validation data.

A grid point is one factor on every rate of a scheme: the learning rates of its rules, those of its own
(`feedback_rate`, `mirror_rate`), the size of a step (`learning.step`), and the decays. A rule comes to rest where its
product, times the learning rate, is the weight times the decay; with their ratio kept, the factor changes how fast a
scheme learns and not what it learns. A field says itself that it is a `Rate` (`components.py`). The point with the
lowest mean validation error (NSE where there are no labels) over the tuning seeds is chosen, the lower
factor where two are equal; a point at which a run diverged is not. Test data are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bioFA.components import Component
from bioFA.errors import NothingToLearn
from bioFA.experiment import Experiment

GRID = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Factors on all rates of a scheme."""
SEEDS = 3
"""Each point is run from this many seeds, the first ones that are not compared."""


def scaled(experiment: Experiment, factor: float) -> Experiment:
    """The same experiment with every learning rate and decay of its scheme times a factor.

    Raises:
        ModelError: if it has no learning rate.
    """
    circuit = experiment.circuit
    changed = circuit.with_parts(lambda part: _scaled(part, factor))
    if factor != 1 and changed == circuit:
        raise NothingToLearn(
            f"'{experiment.name}' under scheme {experiment.scheme} has no learning rate above 0 to tune. Leave out"
            " --tune."
        )
    return experiment.replace(circuit=changed)


def _scaled(part: Component, factor: float) -> Component:
    fields = {name: getattr(part, name) for name in type(part).model_fields}
    changes: dict[str, Any] = {
        name: _scaled(value, factor) for name, value in fields.items() if isinstance(value, Component)
    }
    changes |= {name: factor * rate for name, rate in part.rates().items()}
    return part.replace(**changes) if changes else part


def validation_measure(metrics: Mapping[str, float]) -> float:
    """What a run is judged by."""
    return metrics["validation_error"] if "validation_error" in metrics else metrics["validation_nse"]


def choose(values: Mapping[float, Sequence[float]]) -> dict[str, Any]:
    """The factor with the lowest mean, the whole grid, and whether the best is at its edge.

    Args:
        values: for each factor, the measure of each tuning seed; infinity where it diverged.
    """
    grid = sorted(values)
    means = [float(np.mean(values[factor])) for factor in grid]
    best = int(np.argmin(means))
    return {
        "factor": grid[best] if np.isfinite(means[best]) else 1.0,
        "at_edge": best in (0, len(grid) - 1),
        "grid": [{"factor": f, "mean": m, "values": list(values[f])} for f, m in zip(grid, means, strict=True)],
    }
