"""Neuron models, one a file: static and leaky rate units, error units, sources."""

from bioFA.neurons.base import Neuron, NeuronModel, family

__all__ = ["Neuron", "NeuronModel", "family"]
