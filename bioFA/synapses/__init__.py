"""What synapses are between: which neuron reaches which (`connect`)."""
