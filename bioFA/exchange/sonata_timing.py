"""When spikes of a SONATA circuit arrive in NEST and when here: the same but for whole layers, or named.

A spike acts a step after its delay in NEST's iaf_psc_exp, and in the next step here. With delays of one step every
layer is a step later there than the one before, and otherwise alike; where pathways lead back or past a layer,
no such lags fit all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

NEST_STEPS = 2
"""Steps from a spike to its effect in NEST, with a delay of one step; one here."""


def lags(pathways: Iterable[tuple[str, str]], entry: str) -> dict[str, int]:
    """How many steps later each population is in NEST than here:
    one for each pathway on the shortest way from the input, or from where there is none."""
    after: dict[str, list[str]] = {}
    for source, target in pathways:
        after.setdefault(source, []).append(target)
        after.setdefault(target, [])
    found: dict[str, int] = {}
    for first in (entry, *after):
        front = [] if first in found else [first]
        found |= dict.fromkeys(front, 0)
        for one in front:
            for other in after.get(one, ()):
                if other not in found:
                    found[other] = found[one] + NEST_STEPS - 1
                    front.append(other)
    return found


def out_of_step(pathways: Iterable[tuple[str, str]], entry: str) -> list[str]:
    """Which pathways, `(source, target)`, have spikes that arrive at another time here, against those of the others,
    than in NEST: a sentence for each time."""
    pathways = list(pathways)
    lag = lags(pathways, entry)
    found: dict[int, list[str]] = {}
    for source, target in pathways:
        early = lag[source] + NEST_STEPS - 1 - lag[target]
        if early:
            found.setdefault(early, []).append(f"{source}_to_{target}")
    return [
        f"timing of {', '.join(names)}, which lead back or past a layer: a spike acts a step after its delay in NEST"
        f" and in the next step here, so that theirs arrive {abs(early)} step{'s' if abs(early) > 1 else ''}"
        f" {'early' if early > 0 else 'late'} against those of others; spikes agree in the long run, not step by step"
        for early, names in sorted(found.items())
    ]
