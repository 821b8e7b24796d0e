"""HDF5 files of others are walked by another process first: what crashes,
hangs or deceives the library ends in an error, not with us."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import bioFA
from bioFA import cli
from bioFA.errors import FileError
from bioFA.exchange import export, load
from bioFA.runs.result import load_result, read_weights
from bioFA.runs.trained import load_trained
from bioFA.system import untrusted_walk
from bioFA.system.untrusted_hdf5 import inspect

pytestmark = pytest.mark.usefixtures("processes_that_walk")

SEGFAULT = Path(__file__).parent / "hostile" / "segfault.h5"
"""Two datasets with a few bytes changed at random; HDF5 1.14 dies of them (SIGSEGV)."""


def honest(path):
    """A file with one of everything that an honest file holds."""
    with h5py.File(path, "w") as file:
        file["numbers"] = np.random.default_rng(1).normal(size=(100, 30))
        file.create_dataset("squeezed", data=np.zeros((500, 400)), compression="gzip", shuffle=True, fletcher32=True)
        file["texts"] = ["a", "bc"]
        file.create_dataset(
            "ragged", data=np.array([np.arange(3), np.arange(2)], dtype=object), dtype=h5py.vlen_dtype(int)
        )
        file["mixed"] = np.array(
            [(1.0, b"a", "text")] * 3, dtype=[("a", "f8"), ("b", "S5"), ("c", h5py.string_dtype())]
        )
        file["none"], file["one"] = np.zeros((0, 3)), 3.0
        file.create_dataset("empty", data=h5py.Empty("f8"))
        file["group/inner"] = np.arange(4)
        file["group/loop"] = file["/"]
        file["soft"], file["dangling"] = h5py.SoftLink("/numbers"), h5py.SoftLink("/nowhere")
        file["named"] = np.dtype("f8")
        file["reference"] = file["numbers"].ref
        file.attrs.update(text="x" * 1000, numbers=np.arange(5), nothing=h5py.Empty("f8"))
    return path


def test_an_honest_file_is_walked_from_end_to_end(tmp_path):
    (look,) = inspect(honest(tmp_path / "a.h5"))
    assert look.datasets == 10
    assert look.bytes > 100 * 30 * 8 + 500 * 400 * 8
    assert set(look.variable) == {"texts", "ragged", "mixed", "reference"}


def test_a_walk_takes_little_longer_than_importing_h5py(tmp_path):
    honest(tmp_path / "a.h5")
    taken, bare = [], []
    for _ in range(3):
        for seconds, what in (
            (taken, lambda: inspect(tmp_path / "a.h5")),
            (bare, lambda: subprocess.run([sys.executable, "-P", "-c", "import h5py"], check=True)),
        ):
            began = time.perf_counter()
            what()
            seconds.append(time.perf_counter() - began)
    assert min(taken) < 2 * min(bare) + 0.3


def outside(path):
    honest(path.with_name("other.h5"))


def external_link(path):
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink("/etc/passwd", "x")


def external_storage(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(10,), dtype="u1", external=[("/etc/passwd", 0, 10)])


def virtual(path):
    layout = h5py.VirtualLayout(shape=(100, 30), dtype="f8")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "numbers", shape=(100, 30))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("x", layout)


def plugin(path):
    """A file whose gzip filter (1) was renamed to 307 (bzip2), for which HDF5 would load a library."""
    with h5py.File(path, "w") as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((10,))
        made.set_filter(32000, h5py.h5z.FLAG_OPTIONAL, ())
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_INT32, h5py.h5s.create_simple((10,)), made)
        file["x"][:] = 1
    content = path.read_bytes()
    old, new = (32000).to_bytes(2, "little"), (307).to_bytes(2, "little")
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def bomb(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(1 << 29,), dtype="f8", compression="gzip", chunks=(1 << 20,))


def many_bombs(path):
    with h5py.File(path, "w") as file:
        for number in range(20):
            file.create_dataset(f"x{number}", shape=(1 << 24,), dtype="f8", chunks=(1 << 20,))


def a_large_chunk(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(10,), maxshape=(None,), dtype="f8", chunks=(1 << 28,))


def deep(path):
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(untrusted_walk.DEEPEST + 5):
            group = group.create_group("g")


def cut(path):
    honest(path)
    os.truncate(path, path.stat().st_size // 2)


def not_hdf5(path):
    path.write_bytes(b"\x80\x04\x95 a pickle" * 100)


def nothing(path):
    path.touch()


def segfault(path):
    shutil.copy(SEGFAULT, path)


HOSTILE = {
    external_link: "another file",
    external_storage: "another file",
    virtual: "another file",
    plugin: "plug-in",
    bomb: "unfolded",
    many_bombs: "unfolded",
    a_large_chunk: "chunks",
    deep: "nested",
    cut: "not a whole HDF5 file",
    not_hdf5: "signature",
    nothing: "signature",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_file_that_deceives_is_refused_with_its_reason(make, tmp_path):
    outside(tmp_path / "x.h5")
    make(tmp_path / "x.h5")
    with pytest.raises(FileError, match=HOSTILE[make]) as refusal:
        inspect(tmp_path / "x.h5")
    assert "x.h5" in str(refusal.value)
    assert len(str(refusal.value)) < 1000


def test_a_file_that_crashes_the_library_is_refused_and_we_live():
    with pytest.raises(FileError, match=r"died of it|not a whole"):  # another HDF5 may refuse it by itself
        inspect(SEGFAULT)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "died of it .signal 11"),
        ("import sys; sys.exit('oh')", "died of it .exit code 1: oh"),
        ("print('no JSON')", "died of it"),
        ("print('[]')", "died of it"),
        (
            (
                "print('{\"ok\": true, \"datasets\": 1, \"bytes\": 1, \"variable\": []}', flush=True); import os;"
                " os.abort()"
            ),
            "died of it .signal 6",
        ),
        (
            (
                "import sys; sys.path.insert(0, {folder!r}); import untrusted_walk as w; w.CPU = 1; w.limit(0)\nwhile"
                " True: pass"
            ),
            "used up its time",
        ),
        (
            (
                "import sys; sys.path.insert(0, {folder!r}); import untrusted_walk as w; w.limit(0); x = bytearray(8"
                " << 30)"
            ),
            "MemoryError",
        ),
        (
            (
                "import sys; sys.path.insert(0, {folder!r}); import untrusted_walk as w; w.limit(0)\nwhile True:"
                " sys.stdout.write('x' * 1000)"
            ),
            "died of it",
        ),
    ],
)
def test_a_walk_that_does_not_end_well_is_told(program, reason, tmp_path):
    program = program.replace("{folder!r}", repr(str(Path(untrusted_walk.__file__).parent)))
    with pytest.raises(FileError, match=reason):
        inspect(honest(tmp_path / "a.h5"), walker=(sys.executable, "-c", program))


def test_a_walk_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("bioFA.system.untrusted_hdf5.SLACK", 1 - untrusted_walk.CPU)
    began = time.monotonic()
    with pytest.raises(FileError, match="did not come to an end within 1 s"):
        inspect(honest(tmp_path / "a.h5"), walker=(sys.executable, "-c", "import time; time.sleep(60)"))
    assert time.monotonic() - began < 20


def test_of_several_files_the_one_that_is_wrong_is_named(tmp_path):
    good, bad = honest(tmp_path / "good.h5"), tmp_path / "bad.h5"
    external_link(bad)
    assert len(inspect(good, good)) == 2
    with pytest.raises(FileError, match=r"bad\.h5"):
        inspect(good, bad, good)
    with pytest.raises(FileError, match=r"segfault\.h5"):
        inspect(good, SEGFAULT, good)


def test_what_is_no_file_on_a_disk_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    for path in (tmp_path / "pipe.h5", Path("/dev/zero"), tmp_path):
        with pytest.raises(FileError, match="no file of bytes"):
            inspect(path)
    for path in (tmp_path / "missing.h5", tmp_path / ("n" * 5000)):
        with pytest.raises(OSError):  # noqa: PT011
            inspect(path)


@pytest.mark.slow
def test_text_of_variable_length_that_is_pointed_to_many_times_is_a_bomb(tmp_path):
    """A heap object of 1 MB that 2,000 strings point to: 32 kB of pointers unfold to 2 GB."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((2000,))
        file.create_dataset("x", shape=(2000,), dtype=h5py.string_dtype(), chunks=(2000,))
        file["x"][0] = "y" * 1_000_000
        place = file["x"].id.get_chunk_info(0).byte_offset
    content = bytearray((tmp_path / "x.h5").read_bytes())
    content[place : place + 16 * 2000] = content[place : place + 16] * 2000
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(FileError, match=r"unfolded|used up"):
        inspect(tmp_path / "x.h5")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    bioFA.simulate(bioFA.load("linear", {"task.examples": 20, "task.test_examples": 5}), 1, "numpy").save(
        folder / "result.h5"
    )
    return folder / "result.h5"


def sonata(path):
    (path.parent / "circuit_config.json").write_text(json.dumps({"networks": {"nodes": [{"nodes_file": path.name}]}}))
    return load(path.parent, "sonata")


READERS = {
    "load_result": load_result,
    "read_weights": read_weights,
    "load_trained": load_trained,
    "export": lambda path: export(path, "arrays", path.with_name("out")),
    "arrays": lambda path: bioFA.load("linear", {"task": {"name": "arrays", "path": str(path)}}).network,
    "nwb": (
        lambda path: bioFA.load(
            "linear",
            {
                "task": {
                    "name": "recorded_trials",
                    "path": str(path.rename(path.with_suffix(".nwb"))),
                    "label": "x",
                    "window": "1 s",
                }
            },
        ).network
    ),
    "nix": (
        lambda path: bioFA.load(
            "linear",
            {
                "task": {
                    "name": "recorded_trials",
                    "path": str(path.rename(path.with_suffix(".nix"))),
                    "label": "x",
                    "window": "1 s",
                }
            },
        ).network
    ),
    "nir": lambda path: load(path, "nir"),
    "sonata": sonata,
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_a_file_that_crashes_the_library(reader, tmp_path):
    path = shutil.copy(SEGFAULT, tmp_path / "x.h5")
    with pytest.raises(FileError, match=r"is not read|is not a whole"):  # another HDF5 may refuse it by itself
        READERS[reader](path)


def test_a_file_with_a_valid_seal_is_walked_too(result, tmp_path):
    """The seal says that a file is whole, not whose it is."""
    from bioFA.system.sealed_hdf5 import is_whole, sealed

    with h5py.File(result) as whole, sealed(tmp_path / "x.h5") as file:
        file.attrs.update(whole.attrs)
        for name in whole:
            whole.copy(name, file)
        file["state/more"] = h5py.ExternalLink("/etc/passwd", "x")
    assert is_whole(tmp_path / "x.h5")
    for reader in (load_result, load_trained, read_weights):
        with pytest.raises(FileError, match="another file"):
            reader(tmp_path / "x.h5")


def test_files_of_ones_own_can_be_read_without_the_walk(result, monkeypatch):
    def refuse(*paths):
        raise AssertionError(f"{paths} were walked")

    monkeypatch.setattr("bioFA.runs.trained.inspect", refuse)
    assert load_result(result, trusted=True).seed == 1
    with pytest.raises(AssertionError):
        load_result(result)


@pytest.mark.parametrize(
    "command",
    [
        ["report"],
        ["export", "--to", "arrays", "--out", "out"],
        ["run", "linear", "--weights"],
        ["run", "linear", "--after"],
    ],
)
def test_commands_refuse_a_crashing_file_and_end_cleanly(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    shutil.copy(SEGFAULT, "given/result.h5")
    words = (
        [command[0], "given", *command[1:]]
        if command[0] in ("report", "export")
        else [*command, "given/result.h5", "--out", "out", "--backend", "numpy"]
    )
    outcome = CliRunner().invoke(cli.main, words)
    assert outcome.exit_code == 2, (outcome.exception, outcome.output)
    assert "is not read" in outcome.stderr or "is not a whole" in outcome.stderr
    assert not (tmp_path / "out").exists()
