"""Write the versions that CI's locked run installs, with the SHA-256 of each file:
`python3.13 requirements/lock.py test > requirements/python3.13.txt`.

The arguments are extras of bioFA. pip resolves them anew for the Python that runs this, on this platform, and installs
nothing. Install them, as .ci/run does, with `pip install -r FILE && pip install --no-deps .`; without the lock,
`pip install '.[test]'` takes the newest versions that pyproject.toml allows, and CI tests these, too.
"""

import json
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def lock(extras: str) -> str:
    """The text of a requirements file with hashes."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--dry-run",
        "--ignore-installed",
        "--report",
        "-",
        f"{ROOT}[{extras}]",
    ]
    return text(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout), extras)


def text(report: dict, extras: str) -> str:
    """The same from a report of pip's resolver."""
    found = {}
    for entry in report["install"]:
        if "archive_info" in entry["download_info"]:
            found[entry["metadata"]["name"].lower().replace("_", "-")] = (
                entry["metadata"]["version"],
                entry["download_info"]["archive_info"]["hashes"]["sha256"],
            )
    lines = [f"{name}=={version} \\\n    --hash=sha256:{digest}" for name, (version, digest) in sorted(found.items())]
    return (
        "\n".join([
            (
                f"# Python {platform.python_version()}, {platform.system()} {platform.machine()}, bioFA[{extras}]; made"
                " by requirements/lock.py"
            ),
            *lines,
        ])
        + "\n"
    )


if __name__ == "__main__":
    sys.stdout.write(lock(",".join(sys.argv[1:])))
