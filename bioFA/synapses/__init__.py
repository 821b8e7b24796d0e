"""What synapses are between (`connect`), when they act (`delay`), and what they do from spike to spike (`dynamics`)."""
