"""A directory that holds one run: what was asked, of what, how far it came, and its results.

    run.json        command, settings, digests of inputs, versions, seeds, timings, state, digests of what it made
    .lock           held by the process that writes (`lock.py`)

The same settings and inputs on the same directory resume or are done; others are refused by naming what differs, so
that results of two runs never mix. One process writes at a time. Nothing is written before `record` (or the first
`once` or `log`), so a run that fails on its input leaves no trace.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from .atomic import atomic_path, write_json
from .columns import Columns
from .digests import artifact_digest, check_artifact
from .errors import InputError
from .lock import LOCK, is_of_the_lock, only_writer
from .places import check_writable, expanded, sweep
from .row_log import RowLog
from .run_record import RUN, earlier_record, new_record

State = Literal["running", "done", "failed"]
Made = TypeVar("Made")


class RunDirectory:
    """The run of one command at one place; a context manager that holds the place for this process.

        with RunDirectory(out, "stability", settings=asdict(settings), inputs={"traces": digest(traces)}) as run:
            with run.stage("model"):
                model = load(name)  # what can be wrong with the input comes out here, before anything is written
            run.record()
            probes = run.once("probes.safetensors", make=fit, save=SavedProbes.save, open=SavedProbes.open)
            rows = run.log("boundaries.jsonl", key="id", columns={"id": str, "is_stable": bool})
            with run.stage("report"):
                result.write(run.path)
            run.finish(["results.json", "report.html"])

    With `out=None` the same code keeps nothing: `once` makes, `log` stays in memory, `file` gives None.
    """

    def __init__(
        self,
        out: str | Path | None,
        command: str,
        *,
        settings: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        changeable: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Check the place and what stands there; nothing is written, and no lock taken, before the run is entered.

        Args:
            out: The directory, new or of an earlier run; `~` is expanded. None: results are not kept.
            command: The verb, as on the command line: "locate".
            settings: What decides the results. Compared by content with those of an earlier run.
            inputs: Digests of what the run reads (models, traces): content, neither paths nor times. Compared likewise.
            changeable: Settings that later calls may change: what does not depend on them (logs, artifacts made once)
                is kept and the rest made again. With others than before the run is not done.
            options: What may change when the run is resumed (device, batch size, paths); written down only. One of the
                name of an input says what that input is called.

        Raises:
            InputError: The directory cannot be written, holds other files, or another run.
        """
        self._out = None if out is None else expanded(out)
        self._run = new_record(command, settings or {}, inputs or {}, changeable or {}, options or {})
        self._is_recorded = False
        self._hold: AbstractContextManager[None] | None = None
        if self._out is not None:
            check_writable(self._out)
            self._look(self._out)

    @property
    def path(self) -> Path:
        """The directory. Raises ValueError where the run has none."""
        if self._out is None:
            raise ValueError("this run has no directory (out=None); ask `file` for places that may be none")
        return self._out

    @property
    def has_directory(self) -> bool:
        """Whether results are kept."""
        return self._out is not None

    @property
    def timings_seconds(self) -> dict[str, float]:
        """Seconds that each stage took when it last ran."""
        return dict(self._run["timings_seconds"])

    def file(self, name: str) -> Path | None:
        """Give the place of a file or folder of the run; None where the run has no directory."""
        return None if self._out is None else self._out / name

    def is_done(self, artifacts: Sequence[str] = ()) -> bool:
        """Whether the run has ended and everything it writes is there.

        Args:
            artifacts: Files that must be there, beside those that `finish` was given.

        Raises:
            InputError: A file is other than the run wrote it.
        """
        if self._out is None or self._run["state"] != "done":
            return False
        digests = self._run["artifacts"]
        if not all((self._out / name).exists() for name in {*artifacts, *digests}):
            return False
        for name, digest in digests.items():
            check_artifact(self._out / name, digest)
        return True

    def __enter__(self) -> RunDirectory:
        """Take the lock, and remove what a killed run left under temporary names.

        Raises:
            InputError: Another process holds the directory; which one is named.
        """
        if self._out is not None:
            self._hold = only_writer(self._out)
            self._hold.__enter__()
            try:
                self._look(self._out)  # again: another process may have been here in between
                sweep(self._out, LOCK)
            except BaseException:
                self._hold.__exit__(*sys.exc_info())
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Free the directory. A run that ended in an error says so in run.json; a user's mistake leaves no trace."""
        if self._hold is None:
            return
        try:
            if isinstance(error, InputError) and self._holds_nothing():
                self.abandon()
            elif error is not None and self._is_recorded and self._run["state"] != "done":
                self._run |= {"state": "failed", "error": f"{type(error).__name__}: {error}"[:500]}
                with suppress(InputError):  # on a full disk the error itself says more
                    self._write()
        finally:
            self._hold.__exit__(kind, error, traceback)
            self._hold = None

    def record(self) -> None:
        """Claim the directory: from here on the run can be resumed."""
        if self._out is None:
            return
        self._run["state"] = "running"
        self._write()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; run.json, once recorded, says how long it took."""
        start = time.perf_counter()
        yield
        self._run["timings_seconds"][name] = round(time.perf_counter() - start, 2)
        if self._is_recorded:
            self._write()

    def once(
        self,
        name: str,
        make: Callable[[], Made],
        save: Callable[[Made, Path], object],
        open: Callable[[Path], Made],
    ) -> Made:
        """Make an artifact once: what an earlier run made is opened if its bytes are the same, and an error otherwise.

        Args:
            name: File or directory in the run, with `/` between folders.
            make: Computes the artifact.
            save: Writes it to a path of that name (in a temporary folder, so that it appears whole or not at all).
            open: Reads it back. Its result is returned also when the artifact was made just now, so that an
                undisturbed run and a resumed one go on with the same values.

        Raises:
            InputError: The artifact is other than this run wrote it.
        """
        if self._out is None:
            return make()
        place, digests = self._out / name, self._run["artifacts"]
        if place.exists():
            check_artifact(place, digests.get(name))
            return open(place)
        made = make()
        self._claim()
        with atomic_path(place) as temporary:
            save(made, temporary)
            digests[name] = artifact_digest(temporary)
            self._write()  # before the artifact appears: one that is there always has its digest
        return open(place)

    def made(self, name: str) -> None:
        """Take an artifact that another process of the run put in place, whole.

        Args:
            name: A file or directory of the run that is there.

        Raises:
            InputError: It is other than when it was first taken.
        """
        place, digests = self.path / name, self._run["artifacts"]
        if name in digests:
            check_artifact(place, digests[name])
            return
        digests[name] = artifact_digest(place)
        self._write()

    def log(
        self, name: str, *, key: str | Sequence[str], columns: Columns, about: Mapping[str, Any] | None = None
    ) -> RowLog:
        """Open a log of rows in the run, new or continued; in memory where the run has no directory.

        Args:
            name: Its file, with `/` between folders.
            key: The field or fields by which rows are looked up.
            columns: Type of every field, the key's too.
            about: What the rows are of; default the run's command, settings and inputs. A log of something else is
                refused.

        Raises:
            InputError: As `RowLog`.
        """
        subject = {name: self._run[name] for name in ("command", "settings", "inputs")} if about is None else about
        return RowLog(self.file(name), about=subject, key=key, columns=columns, claim=self._claim)

    def finish(self, artifacts: Sequence[str] = ()) -> None:
        """Note that everything has been written, and remove what killed helpers left under temporary names.

        Args:
            artifacts: Results whose digests are kept, so that `is_done` finds those that were altered since.
        """
        if self._out is None:
            return
        sweep(self._out, LOCK)
        self._run["artifacts"] |= {name: artifact_digest(self._out / name) for name in artifacts}
        self._run["state"] = "done"
        self._write()

    def abandon(self) -> None:
        """Take back the claim: nothing of the run is worth keeping. The directory goes too, where it is then empty."""
        if self._out is not None:
            (self._out / RUN).unlink(missing_ok=True)
            self._is_recorded = False

    def _claim(self) -> None:
        if self._out is not None and not self._is_recorded:
            self.record()

    def _write(self) -> None:
        if self._hold is None:
            raise RuntimeError("a run is written inside `with RunDirectory(...) as run:`")
        self._is_recorded = True
        write_json(self.path / RUN, self._run)

    def _holds_nothing(self) -> bool:
        return all(entry.name == RUN or is_of_the_lock(entry.name) for entry in self.path.iterdir())

    def _look(self, out: Path) -> None:
        """Read what stands at the place and compare it with what is asked."""
        earlier = earlier_record(out, self._run)
        if earlier is not None:
            self._run, self._is_recorded = earlier, True
