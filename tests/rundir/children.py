"""Run a command in a child that is forked, and compare what it wrote with what an undisturbed one wrote."""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

from failing import Disk  # imported by forked.py, which is run as a script

from reasonlens.cli.app import app
from reasonlens.rundir.lock import HOLDER


def child(
    words: Sequence[str],
    out: Path,
    notes: Path,
    *,
    wait_for: int | None = None,
    disk: Disk | None = None,
    count: Path | None = None,
) -> int:
    """Fork a child that runs a command; returns its process.

    Args:
        words: Of the command.
        out: What it writes.
        notes: The file that gets what it prints.
        wait_for: A pipe from which it reads before it starts.
        disk: On which it writes.
        count: File that it leaves the number of its operations on that disk in.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        log = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if wait_for is not None:
            os.read(wait_for, 1)
            never_let_go()
        if disk is not None:
            disk.watch()
        sys.argv = ["reasonlens", *(word.replace("{out}", str(out)) for word in words)]
        code = run(lambda: app())
        if disk is not None and count is not None:
            count.write_text(str(disk.n_operations))
    except BaseException:  # a traceback of the child is a failure of the test
        traceback.print_exc()
        code = 1
    os._exit(code)


def never_let_go() -> None:
    """Let a process that holds a directory sleep before it lets go, so that the other finds it held, however slow."""
    unlink = Path.unlink

    def held(path: Path, missing_ok: bool = False) -> None:
        if path.name == HOLDER:
            time.sleep(600)
        unlink(path, missing_ok)

    patch.object(Path, "unlink", held).start()


def run(command: Callable[[], object]) -> int:
    try:
        command()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def compare(work: Path, out: Path) -> None:
    """Fail where a disturbed run ended with other files than the one that was left alone."""
    whole, disturbed = contents(work / "whole"), contents(out)
    assert whole.keys() == disturbed.keys(), f"other files: {sorted(whole.keys() ^ disturbed.keys())}"
    for name in whole:
        assert whole[name] == disturbed[name], f"{name} differs from that of an undisturbed run"


def contents(out: Path) -> dict[str, object]:
    """What every file holds: bytes; of records all but timings, and what follows from them."""
    content: dict[str, object] = {}
    for file in out.rglob("*"):
        name = str(file.relative_to(out))
        if file.name == "run.json":
            record = json.loads(file.read_text())
            left_out = {"timings_seconds", "command_line"}
            if record["command"].endswith("train"):
                left_out.add("artifacts")  # the digest of organism.json, which holds seconds
            content[name] = {field: value for field, value in record.items() if field not in left_out}
        elif file.name == "organism.json":
            content[name] = json.loads(file.read_text()) | {"seconds": 0}
        elif file.is_file():
            content[name] = re.sub(rb"Made on [\d-]+", b"", file.read_bytes())
        else:
            content[name] = "a folder"
    return content
