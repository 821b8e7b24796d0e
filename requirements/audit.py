"""Ask whether any locked version has a known vulnerability: `python requirements/audit.py [FILE...]`,
through pip-audit (`pip install pip-audit`).

Exit code 0 where nothing is known, 1 where something is, 3 where nobody could be asked: then nothing was checked,
and this says so.
"""

import subprocess
import sys
from pathlib import Path

FILES = sorted(str(path) for path in Path(__file__).resolve().parent.glob("python*.txt"))


def audit(file: str) -> int:
    """Ask about one requirements file."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip_audit",
            "--disable-pip",
            "--require-hashes",
            "--progress-spinner",
            "off",
            "-r",
            file,
        ],
        capture_output=True,
        text=True,
    )
    complaints = done.stderr.strip().splitlines()
    if done.returncode == 0:
        print(f"{file}: {complaints[-1] if complaints else 'no known vulnerability'}")
        return 0
    if done.stdout.strip():
        print(f"{file}:\n{done.stdout}")
        return 1
    reason = complaints[-1] if complaints else f"exit code {done.returncode}"
    print(
        f"{file}: NOT CHECKED, since pip-audit or its vulnerability service cannot be reached from here"
        f" ({reason[:300]})."
    )
    return 3


if __name__ == "__main__":
    sys.exit(max(map(audit, sys.argv[1:] or FILES)))
