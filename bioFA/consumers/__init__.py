"""The two readers of one instance: the NumPy reference, which defines a step, and Brian2, compiled to C++.

`BACKENDS` is the one table of them; each states what others ask of it, and imports its consumer when it makes one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bioFA.consumers.base import Consumer
    from bioFA.experiment import Experiment
    from bioFA.instance import Instance


class Backend:
    """Base of the backends: what is known of one before its consumer is imported."""

    name: ClassVar[str]
    title: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("float64",)
    packages: ClassVar[tuple[str, ...]] = ()
    """The packages that decide its numbers, beside those of every run."""
    compiles: ClassVar[bool] = False
    """Whether it builds a program first."""
    most_threads: ClassVar[int] = 1

    def prepare(self, experiment: Experiment, precision: str) -> object:
        """What can be done of its work before anything is drawn, to be handed to `make`; None where that is nothing."""
        return None

    def make(
        self, instance: Instance, precision: str, scratch: Path | None, prepared: object = None, threads: int = 1
    ) -> Consumer:
        """Its consumer of an instance, which has `scratch`, a folder, for what passes through files, and runs on so
        many threads."""
        raise NotImplementedError(f"{type(self).__name__} makes no consumer")


class Cpp(Backend):
    """Brian2, compiled to C++."""

    name = "cpp"
    title = "Compiled C++"
    precisions = ("float64", "float32")
    packages = ("brian2",)
    compiles = True
    most_threads = 256  # Senders::MOST in biofa_runtime.h

    def prepare(self, experiment: Experiment, precision: str) -> object:
        """The program, built or found."""
        from bioFA.consumers.brian.cache import build
        from bioFA.consumers.brian.compose import make_program

        return build(make_program(experiment, precision))

    def make(
        self, instance: Instance, precision: str, scratch: Path | None, prepared: object = None, threads: int = 1
    ) -> Consumer:
        """The compiled program, built or found."""
        import numpy as np

        from bioFA.consumers.brian.cache import Binary
        from bioFA.consumers.brian.run import Compiled

        if precision == "float32":
            instance.check_range(np.float32)
        place = scratch.resolve() if scratch is not None else None
        binary = prepared if isinstance(prepared, Binary) else None
        return Compiled(instance, precision, scratch=place, binary=binary, threads=threads)


class Numpy(Backend):
    """The reference."""

    name = "numpy"
    title = "the NumPy reference"

    def make(
        self, instance: Instance, precision: str, scratch: Path | None, prepared: object = None, threads: int = 1
    ) -> Consumer:
        """The reference, which needs no files."""
        from bioFA.consumers.reference import Reference

        return Reference(instance)


BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (Cpp(), Numpy())}
"""Every backend by name."""
DEFAULT = Cpp.name
PRECISIONS = tuple(sorted({precision for backend in BACKENDS.values() for precision in backend.precisions}))


def without(backend: str) -> tuple[str, ...]:
    """The packages of other backends, which decide no number of this one."""
    mine = BACKENDS[backend].packages if backend in BACKENDS else ()
    return tuple(package for other in BACKENDS.values() for package in other.packages if package not in mine)
