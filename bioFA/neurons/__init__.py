"""Neuron models, one a file: rate units, spiking units, error units, sources."""

from bioFA.neurons.base import Neuron, NeuronModel, family

__all__ = ["Neuron", "NeuronModel", "family"]
