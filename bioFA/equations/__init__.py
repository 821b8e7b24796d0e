"""Equations as text: what a neuron's `model`, `threshold`, `reset` and statements say, read, checked and integrated.

dimensions   physical dimensions and the names of units
formula      one expression: read by a whitelist, its dimension, its value, and its text for Brian2
model        a whole `model`, statements and conditions
integrate    one step of dt of a model's differential equations, by NumPy
"""
