"""Shallow learning: only the last pathway learns, from its own error; nothing is fed back.

The control that shows what the hidden layers' learning is worth.

Source: Lillicrap et al. (2014), arXiv 1411.0247, Fig. 1d ("shallow learning").
"""

from __future__ import annotations

from typing import ClassVar

from bioFA.schemes.base import Additions, Layers, Scheme


class Shallow(Scheme):
    """Scheme `shallow`."""

    family_name: ClassVar[str] = "shallow"

    def lay(self, layers: Layers) -> Additions:
        """The readout rule on what enters the output, and nothing else."""
        learning = [p for p in layers.entering() if p.target == layers.names[-1]]
        return Additions(rules={pathway.name: self.readout_rule for pathway in learning})
