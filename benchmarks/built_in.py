"""A built-in model, run as a user runs it, evaluations included, by whichever bioFA stands first on the path.

Arguments: the model and the precision. Answers a line to each number of presentations on its standard input.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main(model: str, precision: str) -> None:
    """Say that it is ready, then run and answer."""
    import bioFA

    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        changes: dict[str, Any] = {"protocol.presentations": int(line), "protocol.snapshots": 1}
        began = time.perf_counter()
        bioFA.simulate(bioFA.load(model, changes), seed=1, precision=precision)
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
