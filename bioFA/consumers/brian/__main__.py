"""`python -m bioFA.consumers.brian PROGRAM FOLDER`: write the C++ project of a program, in a process of its own."""

import sys
from pathlib import Path


def write(program: Path, folder: Path) -> None:
    """Read the program, and let Brian2 write."""
    sys.modules["pylab"] = None  # type: ignore[assignment]  # Brian2 then leaves matplotlib out, a third of its import
    from bioFA.consumers.brian.build import generate
    from bioFA.consumers.brian.program import read

    generate(read(program.read_text()), folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
