"""What is done to files, compilers and processes to disturb them; none of it needs to be root."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import resource
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

NOBODY = 65534
"""The user who may write nothing of ours."""


def flip_a_bit(path: Path, chance: random.Random) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut(path: Path, chance: random.Random) -> None:
    """Cut a file short."""
    os.truncate(path, chance.randrange(path.stat().st_size))


def empty(path: Path, chance: random.Random) -> None:
    """Leave nothing of a file but its name."""
    os.truncate(path, 0)


def remove(path: Path, chance: random.Random) -> None:
    """Take a file away."""
    path.unlink()


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "a flipped bit": flip_a_bit,
    "cut short": cut,
    "emptied": empty,
    "removed": remove,
}


def limited(kind: int, limit: int) -> Callable[[], None]:
    """What sets a limit of the operating system for a process and its children."""
    return lambda: resource.setrlimit(kind, (limit, limit))


def unprivileged() -> None:
    """Be a user to whom permissions to write and limits of processes apply, where we are root; reading stays allowed,
    so that Python finds its own files."""
    if os.getuid() != 0:
        return
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    header, only_reading = struct.pack("Ii", 0x20080522, 0), 1 << 2  # version 3; CAP_DAC_READ_SEARCH
    system.capset(header, struct.pack("6I", only_reading, only_reading, 0, 0, 0, 0))


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


class Compiler:
    """A C++ compiler that fails on command: g++ in a script,
    which remembers the objects that it made of the drills' one program.

    `fault` is shell that it runs before it compiles ($out is what it is to make), `after` shell that it runs then,
    while the file `broken` is there.
    """

    def __init__(self, place: Path, store: Path, fault: str = "", after: str = ""):
        place.mkdir(parents=True, exist_ok=True)
        store.mkdir(exist_ok=True)
        self.broken = place / "broken"
        self.broken.touch()
        self.count = place / "calls"
        real = shutil.which("g++")
        self.path = script(
            place / "compiler",
            f'''
unset BIOFA_TEST_HEADERS # an object that the tests' own g++ makes with it needs files beside it
case "$1" in --version) exec "{real}" --version;; esac
out= previous=
for word in "$@"; do [ "$previous" = -o ] && out=$word; previous=$word; done
echo "$out" >> "{self.count}"
if [ -e "{self.broken}" ]; then :
{fault}
fi
kept="{store}/$(basename "$out")"
case "$out" in *.o) ;; *) kept= ;; esac
if [ -z "$kept" ]; then "{real}" "$@" || exit 1
elif [ -f "$kept" ]; then cp "$kept" "$out"; else "{real}" "$@" || exit 1; cp "$out" "$kept.$$"; mv "$kept.$$" "$kept"; fi
if [ -e "{self.broken}" ]; then :
{after}
fi''',  # noqa: E501
        )

    @property
    def environment(self) -> dict[str, str | None]:
        """What makes it the compiler."""
        return {"CXX": str(self.path)}

    def mend(self) -> None:
        """Let it compile from now on."""
        self.broken.unlink(missing_ok=True)


def replace_program(cache: Path, text: str) -> None:
    """Put a script in the place of the compiled program, `$REAL`, as if the compiler had made it so:
    its entry says that it is whole."""
    (entry,) = (path.parent for path in cache.glob("*/entry.json") if not path.parent.name.startswith("."))
    os.replace(entry / "main", entry / "real")
    script(entry / "main", f'REAL="{entry}/real"\n{text}')
    kept = json.loads((entry / "entry.json").read_text())
    inner = json.dumps(json.loads(kept["entry"]) | {"main": hashlib.sha256((entry / "main").read_bytes()).hexdigest()})
    kept = {"sha256": hashlib.sha256(inner.encode()).hexdigest(), "entry": inner}
    (entry / "entry.json").write_text(json.dumps(kept))


def unfinished_builds(cache: Path) -> list[str]:
    """What half-built programs a cache holds."""
    return [path.name for path in cache.glob(".building-*")] if cache.is_dir() else []


def entries(cache: Path) -> int:
    """How many programs a cache holds."""
    return (
        len([path for path in cache.glob("*/entry.json") if not path.parent.name.startswith(".")])
        if cache.is_dir()
        else 0
    )
