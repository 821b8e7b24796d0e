"""The two readers of one instance: the NumPy reference, which defines a step, and Brian2, compiled to C++."""
