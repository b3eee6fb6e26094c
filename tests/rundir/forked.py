"""Run by the tests of this folder: commands in children that are forked, so that a start costs no import.

    python forked.py WORK kill:COMMAND:N_KILLS ...          killed at random moments until one comes through
    python forked.py WORK race:COMMAND ...                  two at once on one directory
    python forked.py WORK refuse:COMMAND:N_REFUSALS ...     on a disk that refuses to write (`failing.py`)
    python forked.py WORK die:COMMAND:N_KILLS ...           killed while a file is opened, a folder made or moved
    python forked.py WORK full:COMMAND ...                  on a disk that is full, and on a read-only one

WORK holds `model/`, `traces.jsonl` and `vectors.safetensors`. What happened is printed as JSON, by task.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from children import child, compare, contents, ended  # this file is run as a script
from commands import COMMANDS, ENDPOINT, MADE
from failing import Disk, on_a_read_only_disk, on_a_small_disk, refusal_line, spread

import reasonlens

# What a disk may refuse a writer.
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)


def main() -> None:
    torch.set_num_threads(1)
    for name in reasonlens.__all__:
        getattr(reasonlens, name)  # public names are imported when they are first used
    import_module("transformers.models.llama.modeling_llama")
    shrink_training()
    work, *tasks = sys.argv[1:]
    make(Path(work), {task.split(":")[1] for task in tasks})
    happened: dict[str, dict[str, object]] = {}
    actions: dict[str, Callable[..., dict[str, object]]] = {
        "kill": kill,
        "race": race,
        "refuse": refuse,
        "die": die,
        "full": full,
    }
    for task in tasks:
        action, command, *numbers = task.split(":")
        url = os.environ.get(ENDPOINT, "")
        words = tuple(word.replace("{work}", work).replace("{url}", url) for word in COMMANDS[command])
        start = time.perf_counter()
        try:
            if action != "race":
                undisturbed(Path(work) / command, words)
            happened[task] = actions[action](Path(work) / command, words, *map(int, numbers))
        except AssertionError as error:
            notes = Path(work) / command / "notes"
            happened[task] = {"error": f"{error}: {notes.read_text()[-2000:] if notes.exists() else ''}"}
        happened[task]["seconds"] = round(time.perf_counter() - start, 1)
    sys.stdout.write(json.dumps(happened))


def make(work: Path, commands: set[str]) -> None:
    """Make what the commands read of other commands' files."""
    text = " ".join(word for command in commands for word in COMMANDS[command])
    for name, words in MADE.items():
        if f"made/{name}" in text or (name == "located" and "made/b.gguf" in text):
            code = ended(child([word.format(work=work) for word in words], work, work / "notes"))
            assert code == 0, (work / "notes").read_text()


def shrink_training() -> None:
    """Let `organisms train` train for a few steps."""
    from reasonlens.organisms import training

    whole = training.FamilySettings

    def few(seed: int, members: tuple[Any, ...]) -> training.FamilySettings:
        return whole(
            seed=seed,
            members=members,
            trunk=training.TrunkSettings(
                restart_from=1,
                run_from=2,
                texts_from=3,
                match_from=4,
                copying_until=5,
                steps=8,
                periodic_texts=8,
                restart_texts=8,
                run_texts=2,
                match_texts=2,
                habit_texts=2,
                drill_texts=2,
                problems=20,
            ),
            adapt=training.AdaptSettings(steps=6, texts=2, drill_texts=2, problems=20),
            reinforce=training.ReinforceSettings(iterations=6, problems=2, samples=2),
            save_every=2,
            least_content=0.0,
        )

    patch.object(training, "FamilySettings", few).start()


def undisturbed(work: Path, words: Sequence[str]) -> None:
    """Run once with nothing in the way: what all others are compared with; note seconds and operations on the disk."""
    if (work / "measured").exists():
        return
    work.mkdir(exist_ok=True)
    disk, start = Disk(work / "whole"), time.perf_counter()
    pid = child(words, work / "whole", work / "notes", disk=disk, count=work / "n_operations")
    assert ended(pid) == 0, "the undisturbed run failed"
    seconds, n_operations = time.perf_counter() - start, int((work / "n_operations").read_text())
    (work / "measured").write_text(json.dumps([seconds, n_operations]))


def kill(work: Path, words: Sequence[str], n_kills: int) -> dict[str, object]:
    """Kill runs of a command at random moments; compare what comes out."""
    random = np.random.default_rng(n_kills)
    seconds = json.loads((work / "measured").read_text())[0]
    out = work / "killed"
    killed = finished = 0
    while killed < n_kills and finished < 3 * n_kills + 3:
        pid = child(words, out, work / "notes")
        # Most lives are short against the work, so that one directory lives through many kills.
        time.sleep(float(random.uniform(0, seconds * (1.0 if random.random() < 0.3 else 0.5))))
        os.kill(pid, signal.SIGKILL)
        code = ended(pid)
        if code == 2 and "is there already" in (work / "notes").read_text()[-300:]:
            # A model directory that the killed child had finished, which is never written over; the child may have
            # left its temporary folder, which the next writer removes.
            assert contents(out / "baked") == contents(work / "whole" / "baked"), "half a model directory"
            shutil.rmtree(out / "baked")
            finished += 1
            continue
        assert code in (0, -signal.SIGKILL), f"a resumed run ended with {code}"
        killed += code != 0
        finished += code == 0
        if code == 0:
            compare(work, out)
            shutil.rmtree(out)
    finish(work, words, out)
    return {"killed": killed, "finished": finished + 1}


def refuse(work: Path, words: Sequence[str], n_refusals: int) -> dict[str, object]:
    """Let writing fail from several operations on, with another error each; then run to the end and compare."""
    n_operations, out = json.loads((work / "measured").read_text())[1], work / "refused"
    first_error = list(COMMANDS).index(work.name)  # each command begins with another
    refused: dict[str, str] = {}
    n_ended = 0
    for number, first in enumerate(spread(n_operations, n_refusals)):
        error = ERRORS[(first_error + number) % len(ERRORS)]
        notes = work / f"notes-{first}-{errno.errorcode[error]}"
        code = ended(child(words, out, notes, disk=Disk(out, error, first)))
        if code == 0:  # resumed, with less than that left to write
            compare(work, out)
            n_ended += 1
            continue
        text = notes.read_text()
        assert code == 2, f"{errno.errorcode[error]} from operation {first}: exit code {code}: {text[-2000:]}"
        refused[f"{errno.errorcode[error]} from operation {first}"] = refusal_line(text, error)
    finish(work, words, out)
    return {"refused": refused, "ended": n_ended, "operations": n_operations}


def die(work: Path, words: Sequence[str], n_kills: int) -> dict[str, object]:
    """Kill runs of a command in the midst of operations on the disk; then run to the end and compare."""
    out, n_killed = work / "died", 0
    for first in spread(json.loads((work / "measured").read_text())[1], n_kills):
        notes = work / f"notes-died-{first}"
        code = ended(child(words, out, notes, disk=Disk(out, None, first)))
        assert code in (0, -signal.SIGKILL), f"killed at operation {first}: {code}: {notes.read_text()[-2000:]}"
        n_killed += code != 0
    finish(work, words, out)
    return {"killed": n_killed}


def full(work: Path, words: Sequence[str]) -> dict[str, object]:
    """Run on a disk that is truly full, then larger, until the command comes through; and on a read-only one."""

    def run_there(out: Path, notes: Path) -> int:
        return ended(child(words, out, notes))

    n_refused = on_a_small_disk(work, run_there, lambda out: compare(work, out))
    return {"full": n_refused, "read-only": on_a_read_only_disk(work, run_there)}


def finish(work: Path, words: Sequence[str], out: Path) -> None:
    """Run what was disturbed to its end and compare it."""
    shutil.rmtree(out / "baked", ignore_errors=True)  # finished, and never written over
    assert ended(child(words, out, work / "notes")) == 0, "the last run failed"
    compare(work, out)


def race(work: Path, words: Sequence[str]) -> dict[str, object]:
    """Start two at once; the loser's exit code and words, and the winner's process, which is killed in the end."""
    place = work.with_name(f"race-{work.name}")
    place.mkdir()
    reads, writes = os.pipe()
    children = [child(words, place / "out", place / f"notes-{number}", wait_for=reads) for number in (0, 1)]
    os.close(reads)
    time.sleep(0.2)
    os.write(writes, b"go")
    loser, status = os.wait()
    (winner,) = set(children) - {loser}
    try:
        says = (place / f"notes-{children.index(loser)}").read_text()
        return {"loser": os.waitstatus_to_exitcode(status), "winner": winner, "says": says}
    finally:
        os.kill(winner, signal.SIGKILL)
        os.waitpid(winner, 0)


if __name__ == "__main__":
    main()
