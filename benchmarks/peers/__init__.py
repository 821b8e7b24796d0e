"""One file a peer: each learns the network of a `Case` and hands back its weights. See `serve.py`."""
