"""Which of several tests of one kind run at once, and which are left to the slow tier."""

import pytest


def first_of(*values, count=1):
    """Parameters of a test, of which all but the first are slow."""
    return [*values[:count], *(pytest.param(value, marks=pytest.mark.slow) for value in values[count:])]
