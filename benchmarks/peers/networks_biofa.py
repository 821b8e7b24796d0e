"""bioFA's compiled program of a built-in free network, started anew for every run, as for a segment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bioFA
from benchmarks.simulated import Simulated, Took, program, serve
from bioFA.consumers.brian.compile import flags
from bioFA.consumers.brian.run import Compiled
from bioFA.instance import draw
from bioFA.runs.provenance import versions


class _Timed(Compiled):
    """The consumer, which runs its program once a segment and keeps what that took."""

    took = (0.0, 0.0)

    def _call(self, folder: Path, arguments: list[str]) -> Iterator[None]:
        command = [str(self.binary.folder / "main"), "--results_dir", f"{folder}/", *arguments]
        self.took = program(command, self.binary.folder, {})
        return iter(())


def prepare(model: str, seed: int, options: list[str], scratch: Path) -> Simulated:
    """Build the program, or find it in the cache; an option is the number of threads."""
    instance = draw(bioFA.load(model), seed)
    compiled = _Timed(instance, scratch=scratch, threads=int(options[0]) if options else 1)

    def run(steps: int) -> Took:
        segment = compiled.segment(instance.state, instance.passing(0, 0, steps), learning=False)
        return Took(*compiled.took, sum(len(which) for which, _ in segment.spikes.values()))

    known = versions()
    return Simulated(run, {"bioFA": bioFA.__version__, "brian2": known["brian2"]}, " ".join(flags(strict=True)))


if __name__ == "__main__":
    serve(prepare)
