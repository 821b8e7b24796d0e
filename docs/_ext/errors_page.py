"""Write docs/errors.md from the classes of errors and the table of wrong inputs: each code, what it means,
and a real message.

    python docs/_ext/errors_page.py
"""

from __future__ import annotations

import inspect
import re
import tempfile
from pathlib import Path

from bioFA.errors import BioFAError, FileError, MissingError, ModelError, RunError, all_codes
from bioFA.selftest import bad_inputs

PAGE = Path(__file__).resolve().parent.parent / "errors.md"
EXAMPLES = 2
TITLES: dict[type[BioFAError], str] = {
    ModelError: "Mistakes in a description",
    FileError: "Files and folders",
    MissingError: "What the machine lacks",
    RunError: "Runs",
}
HEAD = """# Errors, by code

Every message of bioFA begins with a code in brackets, says where, what was found, what is allowed, and what to do:

```text
biofa: [out-of-range] mine.toml (line 12, circuit.schemes.fa.rule.learning_rate): LocalError.learning_rate must be >= 0; got -1. For example: learning_rate = 0.001.
```

Codes stay the same from version to version; the words may change. With `--json` the code is in `code`, the message in `error`. In Python the code is `error.code`, and
each is a class of its own in `bioFA.errors`, named alike: `[out-of-range]` is `bioFA.errors.OutOfRange`.

Besides the codes below there are `usage` (exit code 2: a command is given wrongly, and its `--help` is named), `interrupted` (130, Ctrl-C) and `terminated` (143, SIGTERM).

The messages shown are real: this page is written by `python docs/_ext/errors_page.py` from the table of wrong inputs that `biofa selftest` goes through, {cases} of them.
"""  # noqa: E501


def page() -> str:
    """The page, as Markdown."""
    lines = [HEAD.format(cases=len(bad_inputs.CASES))]
    messages = _messages()
    for base, title in TITLES.items():
        lines += [f"## {title}", "", f"Exit code {base.exit_code}; `bioFA.errors.{base.__name__}` in Python.", ""]
        for code, kind in all_codes().items():
            if issubclass(kind, base):
                lines += [f"### {code}", "", inspect.cleandoc(kind.__doc__ or "").replace("\n", " "), ""]
                if code in messages:
                    lines += ["```text", *messages[code][:EXAMPLES], "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _messages() -> dict[str, list[str]]:
    """What the cases of the table are told, by code."""
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as place, bad_inputs.in_folder(Path(place)) as folder:
        for case in bad_inputs.CASES.values():
            _, _, message = bad_inputs.run_command(bad_inputs.arguments(case))
            plain = message.strip().splitlines()[0].replace(f"{folder.resolve()}/", "").replace(f"{folder}/", "")
            found.setdefault(case.code, []).append(re.sub(r"^(.{300}).+", r"\1...", plain))
    return found


if __name__ == "__main__":
    PAGE.write_text(page())
