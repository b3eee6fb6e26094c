"""Run by the tests of this folder: commands in children that are forked, so that a start costs no import.

    python forked.py WORK kill:COMMAND:N_KILLS ...     killed at random moments until one comes through
    python forked.py WORK race:COMMAND ...             two at once on one directory

WORK holds `model/`, `traces.jsonl` and `vectors.safetensors`. What happened is printed as JSON, by task.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import reasonlens
from reasonlens.cli.app import app
from reasonlens.rundir.lock import HOLDER

ORGANISM = ("--model", "organism/base", "--device", "cpu")
STEERED = ("--random", "1", "--n-problems", "3", "--max-new-tokens", "8", "--strengths", "0.5,1")

# Command -> its words, less --out; {work} is the folder of the inputs.
COMMANDS: dict[str, tuple[str, ...]] = {
    "collect": ("collect", "--model", "{work}/model", "--traces", "{work}/traces.jsonl", "--device", "cpu"),
    "moments": (
        *("collect", "--model", "{work}/model", "--traces", "{work}/traces.jsonl", "--device", "cpu"),
        *("--keep", "moments"),
    ),
    "locate": (
        *("locate", "--model", "{work}/model", "--traces", "{work}/traces.jsonl", "--device", "cpu"),
        *("--layers", "1", "--folds", "3", "--behaviours", "backtracking"),
    ),
    "probe": (
        *("probe", "--model", "{work}/model", "--traces", "{work}/traces.jsonl", "--device", "cpu"),
        *("--layers", "1", "--folds", "3", "--behaviours", "backtracking", "--bootstrap", "20"),
        *("--permutations", "3", "--shuffles", "1", "--penalties", "0.01"),
    ),
    "stability": (
        *("stability", "--model", "{work}/model", "--traces", "{work}/traces.jsonl", "--device", "cpu"),
        *("--layers", "1", "--folds", "3", "--samples", "1", "--max-boundaries", "24"),
    ),
    "sweep": ("steer", "sweep", "{work}/vectors.safetensors", *ORGANISM, "--layers", "2,3", *STEERED),
    "matrix": (
        *("steer", "matrix", "{work}/vectors.safetensors", "{work}/vectors.safetensors", "--device", "cpu"),
        *("--models", "organism/base,organism/rl", "--behaviour", "verification", "--layer", "3", *STEERED),
    ),
}


def main() -> None:
    torch.set_num_threads(1)
    for name in reasonlens.__all__:
        getattr(reasonlens, name)  # public names are imported when they are first used
    import transformers.models.llama.modeling_llama  # noqa: F401

    work, *tasks = sys.argv[1:]
    found: dict[str, dict[str, object]] = {}
    for task in tasks:
        what, command, *n_kills = task.split(":")
        words = [word.format(work=work) for word in COMMANDS[command]]
        place = Path(work) / f"{what}-{command}"
        place.mkdir()
        try:
            found[task] = kill(place, words, int(n_kills[0])) if what == "kill" else race(place, words)
        except AssertionError as error:
            notes = place / "notes"
            found[task] = {"error": f"{error}: {notes.read_text()[-2000:] if notes.exists() else ''}"}
    sys.stdout.write(json.dumps(found))


def kill(work: Path, words: list[str], n_kills: int) -> dict[str, object]:
    """Run undisturbed, then kill further runs of the same at random moments; compare what comes out."""
    random = np.random.default_rng(n_kills)
    start = time.perf_counter()
    assert ended(child(words, work / "whole", work)) == 0, "the undisturbed run failed"
    seconds = time.perf_counter() - start
    killed = finished = 0
    while killed < n_kills and finished < 3 * n_kills + 3:
        pid = child(words, work / "killed", work)
        # Most lives are short against the work, so that one directory lives through many kills.
        time.sleep(float(random.uniform(0, seconds * (1.0 if random.random() < 0.3 else 0.5))))
        os.kill(pid, signal.SIGKILL)
        code = ended(pid)
        assert code in (0, -signal.SIGKILL), f"a resumed run ended with {code}"
        killed += code != 0
        finished += code == 0
        if code == 0:
            compare(work)
            os.rename(work / "killed", work / f"ended-{finished}")
    assert ended(child(words, work / "killed", work)) == 0, "the last run failed"
    compare(work)
    return {"killed": killed, "finished": finished + 1}


def race(work: Path, words: list[str]) -> dict[str, object]:
    """Start two at once; the loser's exit code and words, and the winner's process, which is killed in the end."""
    reads, writes = os.pipe()
    children = [child(words, work / "out", work, wait_for=reads, notes=work / f"notes-{number}") for number in (0, 1)]
    os.close(reads)
    time.sleep(0.2)
    os.write(writes, b"go")
    loser, status = os.wait()
    (winner,) = set(children) - {loser}
    try:
        says = (work / f"notes-{children.index(loser)}").read_text()
        return {"loser": os.waitstatus_to_exitcode(status), "winner": winner, "says": says}
    finally:
        os.kill(winner, signal.SIGKILL)
        os.waitpid(winner, 0)


def child(words: list[str], out: Path, work: Path, wait_for: int | None = None, notes: Path | None = None) -> int:
    """Fork a child that runs a command; returns its process."""
    pid = os.fork()
    if pid:
        return pid
    try:
        log = os.open(notes or work / "notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if wait_for is not None:
            os.read(wait_for, 1)
            never_let_go()
        sys.argv = ["reasonlens", *words, "--out", str(out)]
        code = run(lambda: app())
    except BaseException as error:  # a traceback of the child is a failure of the test
        sys.stderr.write(f"{error!r}\n")
        code = 1
    os._exit(code)


def never_let_go() -> None:
    """Let a process that holds a directory sleep before it lets go, so that the other finds it held, however slow."""
    unlink = Path.unlink

    def held(path: Path, missing_ok: bool = False) -> None:
        if path.name == HOLDER:
            time.sleep(600)
        unlink(path, missing_ok)

    Path.unlink = held  # type: ignore[method-assign]


def run(command: Callable[[], object]) -> int:
    try:
        command()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def compare(work: Path) -> None:
    """Fail where a killed run ended with other files than the one that was left alone."""
    whole, killed = (contents(work / name) for name in ("whole", "killed"))
    assert whole.keys() == killed.keys(), f"other files: {sorted(whole.keys() ^ killed.keys())}"
    for name in whole:
        assert whole[name] == killed[name], f"{name} differs from that of an undisturbed run"


def contents(out: Path) -> dict[str, object]:
    """What every file holds: bytes; of run.json all but timings and the words of the command."""
    found: dict[str, object] = {}
    for file in out.rglob("*"):
        if file.name == "run.json":
            run = json.loads(file.read_text())
            found[str(file.relative_to(out))] = {
                name: value for name, value in run.items() if name not in ("timings_seconds", "command_line")
            }
        elif file.is_file():
            content = file.read_bytes()
            found[str(file.relative_to(out))] = re.sub(rb"Made on [\d-]+", b"", content)
    return found


if __name__ == "__main__":
    main()
