"""The figures of a run are drawn in processes of their own, with the same bytes as in that of the command."""

import os
import sys

import pytest
from click.testing import CliRunner

from bioFA.__main__ import main
from bioFA.cli import drawing as module
from bioFA.runs.result import RESULT, load_result
from bioFA.show import figures, style

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
MODELS = {
    "linear": ("--set", "task.examples=60", "--set", "task.test_examples=20"),
    "current_clamp": ("--set", "protocol.duration=220 ms"),
}


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})


def run(model, folder):
    return CliRunner().invoke(main, ["run", model, *MODELS[model], "--backend", "numpy", "--out", str(folder)])


@pytest.mark.parametrize("model", MODELS)
def test_they_have_the_same_bytes_as_those_drawn_one_by_one(tmp_path, monkeypatch, model):
    save_all = figures.save_all
    monkeypatch.setattr(figures, "save_all", None)  # in the process of the command, which is not to draw
    told = run(model, tmp_path / "run")
    assert told.exit_code == 0, told.output
    expected = save_all(load_result(tmp_path / "run" / RESULT), tmp_path / "again")
    assert {path.name for path in expected} == {path.name for path in (tmp_path / "run").iterdir()} - {RESULT}
    for path in expected:
        assert path.read_bytes() == (tmp_path / "run" / path.name).read_bytes(), path.name
        assert path.name in told.output


def test_the_command_draws_them_where_the_process_cannot(tmp_path, monkeypatch):
    command, write = os.getpid(), style.write

    def fails(*given):
        if os.getpid() != command:
            raise OSError("no space left on device")
        return write(*given)

    monkeypatch.setattr(style, "write", fails)
    monkeypatch.setattr(figures, "write", fails)
    assert run("linear", tmp_path / "run").exit_code == 0
    assert len(list((tmp_path / "run").iterdir())) == 1 + 3 * 3


def test_it_ends_where_there_is_nothing_to_draw():
    drawing = module.Drawing(True)
    process = drawing._process
    drawing.close()
    assert drawing._process is None
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_it_ends_with_the_command():
    drawing = module.Drawing(True)
    os.close(drawing._pipe)  # as the system does
    assert os.waitpid(drawing._process, 0)[1] == 0


def test_there_is_none_on_one_core_or_where_no_figures_are_wanted(monkeypatch):
    assert module.Drawing(False)._process is None
    assert module.Drawing(False).into(None) is None
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert module.Drawing(True)._process is None
