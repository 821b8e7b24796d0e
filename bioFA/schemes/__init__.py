"""Learning schemes, one a file, and the layered circuit that they complete.

A scheme decides which weights carry the error back; it knows no task and no simulator. A new
scheme is one file here with a `Scheme` class and its short name in `family_name`.
"""

from bioFA.schemes.base import Scheme, family
from bioFA.schemes.layered import Layered, layered

__all__ = ["Layered", "Scheme", "family", "layered"]
