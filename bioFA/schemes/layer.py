"""What a layer of a layered circuit may be told of its own: size, neurons, recurrence, and pools of interneurons.

    layers = [
        { size = 64 },
        { size = 30, recurrent = { density = 0.1 }, interneurons = [{ name = "pv", size = 8 }] },
        { size = 10 },
    ]

A pool of interneurons hears its layer (feedback inhibition), the layer below (feedforward inhibition), or both, through
excitatory synapses, and inhibits its layer; none of these synapses learns.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Gt, Le
from pydantic import Field, Strict

from bioFA.components import Component, Count, Name, Number
from bioFA.neurons import Neuron
from bioFA.weights import Uniform, WeightsField

Density = Annotated[Number, Gt(0), Le(1)]


class Recurrent(Component):
    """Synapses from a layer to itself: a share `density` of all, which learn by the layer's rule where `plastic`."""

    density: Density = 1.0
    plastic: Annotated[bool, Strict()] = True
    weights: WeightsField = Uniform(low=-0.1, high=0.1)


class Interneurons(Component):
    """A pool of interneurons beside a layer.

    It is driven by what it `hears`, its own `layer`, the layer `below`, or `both`, through weights of the size of
    `excitation`, and reaches the `port` of its layer through weights of the size of `inhibition`. Drawn weights take
    their sign by their absolute value: those to the pool are positive, unless Dale's law of the layer decides
    (`Layered.inhibitory`), and those that leave it negative. `neuron` is that of the layer where it is left out. Static
    units that hear their own layer form a cycle; give a leaky or spiking model there.
    """

    name: Annotated[Name, Field(examples=["pv"])]
    size: Count
    neuron: Neuron | None = None
    hears: Literal["layer", "below", "both"] = "layer"
    excitation: WeightsField = Uniform(low=0.0, high=0.2)
    inhibition: WeightsField = Uniform(low=0.0, high=0.2)
    density: Density = 1.0
    port: Name = "drive"


class Layer(Component):
    """One layer: `neuron` is the circuit's for that place (`input`, `hidden`, `output`) where it is left out."""

    size: Count
    neuron: Neuron | None = None
    recurrent: Recurrent | None = None
    interneurons: tuple[Interneurons, ...] = ()
