"""Kinds of neurons that other simulators have too, each with its numbers.

A neuron model states which of them it is (`NeuronModel.counterpart`), as far as what arrives at its drive, or at its
target and prediction, is concerned; exporters have words for kinds, never for neuron models. So a new model that is of
a kind is written wherever its kind is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Decay = Literal["euler", "exact"]


@dataclass(frozen=True)
class RateUnit:
    """r = phi(u); u is the drive at once where `tau` is None, else tau du/dt = -u + drive.

    `activation` names phi, as in `activations.py`.
    """

    activation: str
    tau: float | None = None
    decay: Decay = "euler"


@dataclass(frozen=True)
class CurrentLif:
    """tau_syn dI/dt = -I + drive, tau dv/dt = -v + I, a spike where v passes 1: the soma that `lif.py` describes.

    `dendrite` says that it has a second compartment, which leaves the soma alone.
    """

    tau: float
    tau_syn: float
    v_reset: float
    refractory_period: float
    decay: Decay
    reset: Literal["to_value", "subtract"]
    test: Literal["above", "reach"]
    dendrite: bool = False


@dataclass(frozen=True)
class Difference:
    """r = target - prediction, times the gain of the output where `carries_gain`."""

    carries_gain: bool


Counterpart = RateUnit | CurrentLif | Difference
