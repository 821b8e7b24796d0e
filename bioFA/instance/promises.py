"""What the description promises of weights: drawn ones are made to keep it, given ones that break it are found."""

from __future__ import annotations

import numpy as np

from bioFA.errors import Contradiction
from bioFA.instance.feed import Array, Synapses
from bioFA.network import Network, Pathway


def constrained(
    network: Network, pathway: Pathway, weights: Array, mask: Array | None, synapses: Synapses | None = None
) -> Array:
    """Drawn weights with the pathway's sign or those of Dale's law, within its bounds,
    and 0 where there is no synapse."""
    cells = network.signs(pathway)
    if cells is not None:
        fewer = (cells > 0).sum() / max((cells < 0).sum(), 1)  # in balance: sum of excitation = sum of inhibition
        scales = np.where(cells > 0, 1.0, -fewer if fewer > 0 else -1.0)
        weights = np.abs(weights) * (scales if synapses is None else scales[synapses.pre])
    if pathway.sign in ("excitatory", "inhibitory"):
        weights = np.abs(weights) * (1.0 if pathway.sign == "excitatory" else -1.0)
    weights = np.clip(weights, *pathway.learning.bounds())
    return np.ascontiguousarray(weights if mask is None else np.where(mask, weights, 0.0))


def broken_promises(
    network: Network, pathway: Pathway, weights: Array, mask: Array | None, synapses: Synapses | None = None
) -> list[tuple[Array, str]]:
    """Which weights, `(n_post, n_pre)` or of listed synapses, break each promise of a pathway, and the promise."""
    low, high = pathway.learning.bounds()
    rounding = 1e-6  # float32 holds a bound to 6e-8 of itself
    found = [(
        (weights < low - rounding * abs(low)) | (weights > high + rounding * abs(high)),
        f"learning.low = {low:g} and learning.high = {high:g}",
    )]
    if mask is not None:
        found.append(((weights != 0) & ~mask, f"that {np.count_nonzero(~mask)} synapses are absent"))
    if pathway.sign in ("excitatory", "inhibitory"):
        found.append((weights < 0 if pathway.sign == "excitatory" else weights > 0, f"sign = '{pathway.sign}'"))
    cells = network.signs(pathway)
    if cells is not None:
        cells = cells if synapses is None else cells[synapses.pre]
        found.append((weights * cells < 0, f"Dale's law of '{pathway.source}'"))
    return found


def gathering(network: Network, pathway: Pathway, weights: Array, synapses: Synapses | None = None) -> dict[str, Array]:
    """What a pathway keeps beside its weights: the changes that wait, of the weights' shape, and the norms to hold,
    `(n_post,)`, of neurons that listed `synapses` do not reach 0.

    Raises:
        ModelError: if weights that are to keep their norm have none.
    """
    kept: dict[str, Array] = {}
    if pathway.learning.gathers:
        kept[f"{pathway.name}.gathered"] = np.zeros_like(weights)
    if pathway.learning.normalised:
        if synapses is None:
            norms = reached = np.linalg.norm(weights, axis=1)
        else:
            n_post, _ = network.shape(pathway)
            norms = np.sqrt(np.bincount(synapses.post, weights**2, minlength=n_post))
            reached = np.where(np.bincount(synapses.post, minlength=n_post) > 0, norms, 1.0)
        kept[f"{pathway.name}.norm"] = norms
        if not reached.all():
            raise Contradiction(
                f"pathway '{pathway.name}': learning.normalised keeps the norm of the weights that enter a neuron, but"
                f" neuron {int(reached.argmin())} begins with none. Draw other weights, or leave normalised out."
            )
    return kept
