"""The same kinds of fault on a plain Brian2 script (`plain_brian2.py`): what happens without what bioFA adds.

The script is built once; then forks of the process that built it run it as Brian2 does (`device.run`), read
its variables and save them. It is judged by the same oracle, without asking for codes: a traceback and
another exit code than 0 is a visible failure, provided that nothing was left that reads as a whole result.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bioFA.system.processes import end_after
from trial import plain_brian2
from trial.injections import DAMAGES, limited, script

ATTEMPTS = 10
SCRIPT = Path(plain_brian2.__file__)


class _Plain:
    """The script, built in a folder."""

    def __init__(self, place: Path):
        self.place = place
        self.project = place / "project"
        self.random = random.Random(2016)
        self._count = 0
        self._b2, *self._read = plain_brian2.describe(str(self.project))
        self._b2.device.build(directory=str(self.project), run=False)
        self.expected = ""
        began = time.monotonic()
        _, self.expected = self.run()
        self.seconds = time.monotonic() - began
        if not self.expected:
            raise RuntimeError("the undisturbed script left no result, so that no fault can be judged")

    def fresh(self) -> Path:
        """A path that is not there yet."""
        self._count += 1
        return self.place / f"t{self._count:04d}"

    def begin(
        self,
        results: str,
        saved: Path,
        prepare: Callable[[], None] | None = None,
        between: Callable[[], None] | None = None,
        eta: float | None = None,
    ) -> int:
        """Run the built program in a fork, read its variables, save them; its process id."""
        child = os.fork()
        if child:
            return child

        def script() -> int:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            if prepare is not None:
                prepare()
            first = self._read[0]
            self._b2.device.run(
                results_directory=results, run_args={first.eta: eta * self._b2.Hz} if eta is not None else None
            )
            if between is not None:
                between()
            plain_brian2.save(str(saved), *self._read)
            return 0

        end_after(script)

    def end(self, child: int, timeout: float = 20.0) -> int | None:
        """Wait for a fork; its exit code, or None where it hung."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None

    def run(
        self,
        prepare: Callable[[], None] | None = None,
        between: Callable[[Path], None] | None = None,
        eta: float | None = None,
    ) -> tuple[int | None, str]:
        """Run it; its exit code, and the digest of what it saved."""
        saved, results = self.fresh().with_suffix(".npz"), f"results_{self._count}"
        inner = (lambda: between(self.project / results)) if between is not None else None
        code = self.end(self.begin(results, saved, prepare, inner, eta))
        return code, _digest(saved)

    def program(self, text: str) -> Callable[[], None]:
        """Put a script in the place of the program ($REAL); what puts it back."""
        real, main = self.project / "real", self.project / "main"
        shutil.copy2(main, real)
        script(main, f'REAL="{real}"\n{text}')
        return lambda: os.replace(real, main)


def _digest(saved: Path) -> str:
    """The digest of the saved arrays; nothing where they cannot be read."""
    try:
        with np.load(saved, allow_pickle=False) as arrays:
            return hashlib.sha256(
                b"".join(
                    name.encode() + str(arrays[name].shape).encode() + arrays[name].tobytes() for name in sorted(arrays)
                )
            ).hexdigest()
    except Exception:  # cut, empty, absent
        return ""


def _outcome(code: int | None, found: str, expected: str) -> str:
    if code is None:
        return "hung"
    if code == 0 or found:
        return "survived" if found == expected else "silent"
    return "failed"


def _with_program(plain: _Plain, text: str) -> str:
    restore = plain.program(text)
    try:
        return _outcome(*plain.run(), plain.expected)
    finally:
        restore()


def _compiler(plain: _Plain, text: str) -> str:
    """The whole script, with another compiler."""
    place = plain.fresh()
    (place / "bin").mkdir(parents=True)
    for name in ("g++", "gcc", "c++"):
        script(place / "bin" / name, text)
    environment = os.environ | {"PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}", "CXX": "g++"}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "project", "saved.npz"],
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code: int | None = process.wait(20)
    except subprocess.TimeoutExpired:
        code = None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return _outcome(code, _digest(place / "saved.npz"), plain.expected)


def _f1(plain: _Plain, attempt: int) -> str:
    return _compiler(plain, "exit 127")


def _f2(plain: _Plain, attempt: int) -> str:
    return _compiler(plain, "echo 'error: no such thing' >&2; exit 1")


def _f3(plain: _Plain, attempt: int) -> str:
    return _compiler(plain, "case \"$*\" in *-c*) sleep 1000;; esac; exit 1")


def _f5(plain: _Plain, attempt: int) -> str:
    main, real = plain.project / "main", plain.project / "real"
    shutil.copy2(main, real)
    try:
        list(DAMAGES.values())[attempt % 3](main, plain.random)
        return _outcome(*plain.run(), plain.expected)
    finally:
        os.replace(real, main)


def _f6(plain: _Plain, attempt: int) -> str:
    return _with_program(plain, "kill -ILL $$")


def _f7(plain: _Plain, attempt: int) -> str:
    """Killed at a random moment, then begun again in the same folder: nothing can be continued."""
    saved = plain.fresh().with_suffix(".npz")
    child = plain.begin("results_killed", saved)
    time.sleep(plain.random.uniform(0, plain.seconds))
    os.killpg(child, signal.SIGKILL)
    plain.end(child)
    if found := _digest(saved):
        return "survived" if found == plain.expected else "silent"
    code = plain.end(plain.begin("results_killed", saved))
    return _outcome(code, _digest(saved), plain.expected)


def _f9(plain: _Plain, attempt: int) -> str:
    """SIGINT to the compiled program, as a batch system sends it."""
    saved = plain.fresh().with_suffix(".npz")
    child = plain.begin(f"results_{plain._count}", saved)
    time.sleep(plain.random.uniform(0.02, max(0.03, 0.8 * plain.seconds)))
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "exe") == str(plain.project / "main"):
                os.kill(int(entry.name), signal.SIGINT)
        except OSError:
            continue
    return _outcome(plain.end(child), _digest(saved), plain.expected)


def _f11(plain: _Plain, attempt: int) -> str:
    return _with_program(plain, f"trap '' 25\nulimit -f {plain.random.randrange(0, 60)}\nexec \"$REAL\" \"$@\"")


def _f12(plain: _Plain, attempt: int) -> str:
    limit = plain.random.randrange(0, 60_000)
    return _outcome(
        *plain.run(between=lambda _: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))), plain.expected
    )


def _f13(plain: _Plain, attempt: int) -> str:
    return _outcome(*plain.run(limited(resource.RLIMIT_FSIZE, int(10 ** plain.random.uniform(2, 4.5)))), plain.expected)


def _f14(plain: _Plain, attempt: int) -> str:
    return _with_program(plain, 'rm -rf "$2"; exec "$REAL" "$@"')


def _f15(plain: _Plain, attempt: int) -> str:
    """Two runs with different learning rates in Brian2's one results folder."""
    saved = [plain.fresh().with_suffix(".npz") for _ in range(2)]
    alone = [plain.expected, plain.run(eta=2.0)[1]]
    children = []
    for path, eta in zip(saved, (None, 2.0), strict=True):
        children.append(plain.begin("results", path, eta=eta))
        time.sleep(plain.random.uniform(0, plain.seconds / 4))
    outcomes = [
        _outcome(plain.end(child), _digest(path), expected)
        for child, path, expected in zip(children, saved, alone, strict=True)
    ]
    return next((word for word in ("silent", "hung", "failed") if word in outcomes), "survived")


def _f17(plain: _Plain, attempt: int) -> str:
    def damage(results: Path) -> None:
        names = [path for path in sorted(results.iterdir()) if "_w_" in path.name or "_r_" in path.name]
        list(DAMAGES.values())[attempt % 3](
            plain.random.choice([path for path in names if path.stat().st_size]), plain.random
        )

    return _outcome(*plain.run(between=damage), plain.expected)


def _f19(plain: _Plain, attempt: int) -> str:
    return _outcome(*plain.run(eta=1e9), plain.expected)


def _f21(plain: _Plain, attempt: int) -> str:
    return _outcome(*plain.run(limited(resource.RLIMIT_NOFILE, plain.random.randrange(4, 12))), plain.expected)


def _f22(plain: _Plain, attempt: int) -> str:
    def zone() -> None:
        os.environ["TZ"] = plain.random.choice(["Pacific/Kiritimati", "UTC", "Asia/Kathmandu"])
        time.tzset()

    for path in plain.project.iterdir():
        moment = time.time() + plain.random.uniform(-3e8, 3e8)
        os.utime(path, (moment, moment))
    return _outcome(*plain.run(zone), plain.expected)


def _f23(plain: _Plain, attempt: int) -> str:
    place = plain.fresh()
    (place / "brian2").mkdir(parents=True)
    (place / "brian2" / "__init__.py").write_text('__version__ = "2.4"\n')
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "project", "saved.npz"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(place)},
        capture_output=True,
        timeout=60,
    )
    return _outcome(done.returncode, _digest(place / "saved.npz"), plain.expected)


COUNTERPARTS: dict[str, tuple[Callable[[_Plain, int], str], int]] = {
    "F1": (_f1, 1),
    "F2": (_f2, 1),
    "F3": (_f3, 1),
    "F5": (_f5, ATTEMPTS),
    "F6": (_f6, 1),
    "F7": (_f7, ATTEMPTS),
    "F9": (_f9, ATTEMPTS),
    "F11": (_f11, ATTEMPTS),
    "F12": (_f12, ATTEMPTS),
    "F13": (_f13, ATTEMPTS),
    "F14": (_f14, 2),
    "F15": (_f15, ATTEMPTS),
    "F17": (_f17, ATTEMPTS),
    "F19": (_f19, 1),
    "F21": (_f21, ATTEMPTS),
    "F22": (_f22, 3),
    "F23": (_f23, 1),
}
"""The faults that have a counterpart in a plain script, and how many attempts each gets there."""


def run(only: Sequence[str] = ()) -> dict[str, str]:
    """What the plain script did with each fault, such as `silent 9 of 10, survived 1`.

    `survived` means the right numbers, `failed` a visible failure, `silent` other numbers without one. It runs in a
    process of its own, since Brian2 keeps what it is given in the process.
    """
    with tempfile.TemporaryDirectory(prefix="biofa-control-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "trial.control", folder, *only]
        checkout = os.pathsep.join([str(SCRIPT.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"PYTHONPATH": checkout}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        lines = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("F")]
        found = {line[0]: line[1] for line in lines if len(line) == 2}
        wanted = [number for number in COUNTERPARTS if not only or number in only]
        return {
            number: found.get(
                number, f"the control could not be run: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
            )
            for number in wanted
        }


def _counts(outcomes: Sequence[str]) -> str:
    counts: Any = Counter(outcomes)
    return ", ".join(
        f"{word} {counts[word]} of {len(outcomes)}" for word in ("silent", "hung", "failed", "survived") if counts[word]
    )


def _main(folder: str, *only: str) -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # what the script says is not what we say
    plain = _Plain(Path(folder))
    for number, (drill, attempts) in COUNTERPARTS.items():
        if not only or number in only:
            os.write(out, f"{number}\t{_counts([drill(plain, attempt) for attempt in range(attempts)])}\n".encode())


if __name__ == "__main__":
    _main(*sys.argv[1:])
