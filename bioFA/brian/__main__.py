"""`python -m bioFA.brian PROGRAM FOLDER`: write the C++ project of a program, in a process of its own."""

import sys
from pathlib import Path


def main() -> None:
    """Read the program, and let Brian2 write."""
    sys.modules["pylab"] = None  # type: ignore[assignment]  # Brian2 then leaves matplotlib out, a third of its import
    from bioFA.brian.build import generate
    from bioFA.brian.program import Program

    generate(Program.model_validate_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
