from __future__ import annotations

import io
import re
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from reasonlens.rundir.progress import ProgressBar, is_silent, no_progress, settle_notebook, with_progress

progress_module = import_module("reasonlens.rundir.progress")
ROOT = Path(__file__).parents[2]
FOLDERS = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in ("tests", "benchmarks")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


def test_a_pipe_gets_a_line_every_30_seconds_and_one_at_the_end(capsys, clock: Clock) -> None:
    with ProgressBar(desc="reading", unit="token", total=100) as bar:
        for second in range(1, 101):
            clock.now = float(second)
            bar.update()
    shown = capsys.readouterr().err
    assert "\r" not in shown
    lines = shown.splitlines()
    assert [re.search(r"\d+/100 \[\d\d:\d\d", line).group() for line in lines] == [
        *("30/100 [00:30", "60/100 [01:00", "90/100 [01:30", "100/100 [01:40"),
    ]
    assert all(line.startswith("reading: ") and line.endswith("1.00token/s]") for line in lines)


def test_a_loop_of_a_second_leaves_one_line_on_a_pipe(capsys, clock: Clock) -> None:
    assert list(with_progress([1, 2, 3], desc="fitting", unit="layer")) == [1, 2, 3]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fitting: 100%") and "3/3" in line


def test_a_bar_that_never_moved_leaves_nothing_on_a_pipe(capsys, clock: Clock) -> None:
    with pytest.raises(ValueError), ProgressBar(desc="reading", unit="token", total=5, initial=2):
        raise ValueError
    with ProgressBar(desc="reading", unit="token"):
        pass
    assert capsys.readouterr().err == ""


def test_a_run_taken_up_counts_its_speed_without_what_was_there(capsys, clock: Clock) -> None:
    with ProgressBar(desc="problems", unit="problem", total=100, initial=90) as bar:
        clock.now = 5.0
        bar.update(10)
        bar.set_postfix(traces=7)
    assert "100/100 [00:05<00:00,  2.00problem/s, traces=7]" in capsys.readouterr().err


def test_a_reset_begins_again_of_another_total(capsys, clock: Clock) -> None:
    with ProgressBar(desc="reading", unit="token", unit_scale=True) as bar:
        bar.update(5)
        bar.reset(20_000)
        clock.now = 10.0
        bar.update(20_000)
    assert "20.0k/20.0k [00:10<00:00, 2.00ktoken/s]" in capsys.readouterr().err


def test_a_terminal_gets_tqdms_own_bar(monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    list(with_progress(range(3), desc="fitting", unit="layer"))
    assert terminal.getvalue().startswith("\rfitting:   0%|") and terminal.getvalue().endswith("layer/s]\n")
    assert "3/3" in terminal.getvalue().split("\r")[-1]


def test_a_cell_of_a_notebook_gets_the_bar_of_a_terminal(monkeypatch) -> None:
    cell = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stderr", cell)
    list(with_progress(range(3), desc="fitting", unit="layer"))
    assert cell.getvalue().startswith("\rfitting:   0%|")


def test_bars_of_other_libraries_warn_of_nothing_in_a_notebook_without_widgets(monkeypatch) -> None:
    def first_import() -> list[str]:
        for name in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"):
            sys.modules.pop(name, None)
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            first_of_all()
            import_module("tqdm.auto")
        return [str(one.message) for one in raised]

    for name in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # and is put back afterwards
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", ModuleType("ipykernel.zmqshell"))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    first_of_all = settle_notebook
    assert first_import() == []
    first_of_all = int  # the control: nothing is done before
    assert any("IProgress not found" in message for message in first_import())


def test_threads_are_silent_too(capsys) -> None:
    with no_progress(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: list(with_progress([1], desc="fitting", unit="layer"))).result() == [1]
    assert capsys.readouterr().err == "" and not is_silent()


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_nothing_is_shown_where_it_is_off(monkeypatch, stream: type[io.StringIO]) -> None:
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    assert list(with_progress(range(3), desc="fitting", unit="layer", progress=False)) == [0, 1, 2]
    with no_progress(), ProgressBar(desc="reading", unit="token", total=2) as bar:
        bar.update(2)
    assert shown.getvalue() == ""
    list(with_progress(range(3), desc="fitting", unit="layer"))
    assert "3/3" in shown.getvalue(), "outside the block it is shown"


def test_no_other_module_has_a_bar_or_a_callback_for_notes() -> None:
    files = [file for folder in [*FOLDERS, ROOT / "src"] for file in folder.rglob("*.py")]
    assert len(files) > 150
    users = {file.name for file in files if re.search(r"^\s*(from|import) tqdm", file.read_text("utf-8"), re.M)}
    assert users == {"progress.py"}
    assert not [file for file in files if re.search(r"\bnote: Callable\b|\bnote=note\b", file.read_text("utf-8"))]
