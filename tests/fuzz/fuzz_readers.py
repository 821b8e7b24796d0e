"""Let Atheris make texts for the readers of `bioFA.selftest.hostile`:
`python tests/fuzz/fuzz_readers.py [libFuzzer's options] [FOLDER...]`.

The first letter of a text says which reader it is for (e equation, q quantity, m equation in a model, f model file, n
name, c change, b manifest of a bundle, x expression of constants, k constants of a model file; any other, by its code).
A finding is an error that is none of bioFA's, anything that the canary notes, or a text that takes more than 2 s;
libFuzzer then writes it to a file and stops. Give FOLDERs to keep what was found to reach new code (the first) and to
begin from (tests/fuzz/seeds). Each finding belongs, mended, into the tables of `bioFA/selftest/hostile.py`.
"""

import os
import sys
import tempfile
from pathlib import Path

LETTERS = {
    "e": "equation", "q": "quantity", "m": "model", "f": "file", "n": "name", "c": "change", "b": "manifest",
    "x": "expression", "k": "constants",
}  # fmt: skip


class Finding(Exception):
    """A text that did what none may do."""


class Target:
    """The readers, warmed, and a canary; called with what Atheris made."""

    def __init__(self, folder: Path):
        from bioFA.selftest import hostile

        self.hostile, self.folder = hostile, folder
        self.known, self.canary = hostile.readers(folder), hostile.Canary()
        hostile.warm(self.known)

    def __call__(self, content: bytes) -> None:
        """Put a text to its reader; raises `Finding`."""
        text = content.decode("utf-8", "surrogateescape")
        reader = LETTERS.get(text[:1]) or list(LETTERS.values())[ord(text[:1] or " ") % len(LETTERS)]
        case = self.hostile.Case(reader, "", text[1:], refused=False)
        verdict = self.hostile.put(case, self.known, self.canary, self.folder)
        if not verdict.passes(case):
            raise Finding(f"{reader} {text[1:]!r}: {verdict}")


def main() -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    import atheris

    with atheris.instrument_imports(include=["bioFA", "tomllib"], enable_loader_override=False):
        import bioFA.exchange.bundle
        import bioFA.expressions
        import bioFA.modelfiles.toml
        import bioFA.units  # noqa: F401
    folder = Path(tempfile.mkdtemp(prefix="biofa-fuzz-"))
    arguments = [
        os.path.abspath(word) if not word.startswith("-") and Path(word).exists() else word for word in sys.argv
    ]
    os.chdir(folder)
    atheris.Setup(arguments, Target(folder))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
