"""Learning schemes, one a file, and the circuits that they complete: layers, or a chain in a network of one's own.

A scheme decides which weights carry the error back; it knows no task and no simulator. A new
scheme is one file here with a `Scheme` class and its short name in `family_name`.
"""

from bioFA.schemes.base import Scheme, family
from bioFA.schemes.layered import Layered, layered
from bioFA.schemes.taught import TaughtNetwork

__all__ = ["Layered", "Scheme", "TaughtNetwork", "family", "layered"]
