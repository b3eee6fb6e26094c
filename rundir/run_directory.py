"""Keep one run in one directory: its settings, digests of its inputs, its progress, and its results.

    run.json        command, settings, digests of inputs, versions, seeds, timings, state, digests of artifacts
    .lock           held by the process that writes (`lock.py`)

A call with the same settings and inputs resumes the run in the directory, or reads it back when it is done; a call with
others is refused with the differences named, so that results of two runs never mix. One process writes at a time.
Nothing is written before `record` (or the first `once` or `log`), so a run that fails on its input leaves no trace.
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
    """The run of one command in one directory; a context manager that locks the directory for this process.

        with RunDirectory(out, "stability", settings=asdict(settings), inputs={"traces": digest(traces)}) as run:
            with run.stage("model"):
                model = load(name)  # mistakes in the input are raised here, before anything is written
            run.record()
            probes = run.once("probes.safetensors", make=fit, save=SavedProbes.save, open=SavedProbes.open)
            rows = run.log("boundaries.jsonl", key="id", columns={"id": str, "is_stable": bool})
            with run.stage("report"):
                result.write(run.path)
            run.finish(["results.json", "report.html"])

    With `out=None` nothing is written: `once` computes, `log` stays in memory, `file` returns None.
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
        """Check the directory and the run in it; the lock is taken, and files are written, only inside `with`.

        Args:
            out: The directory, new or of an earlier run; `~` is expanded. None: results are not written.
            command: The command's name, as on the command line: "locate".
            settings: Everything that decides the results. Must be equal to those of an earlier run.
            inputs: Digests of the content that the run reads (models, traces). Likewise.
            changeable: Settings that may differ from those of an earlier run. If they do, logs and artifacts of `once`
                are kept, and the run is no longer done.
            options: Values that do not change results (device, batch size, paths); recorded, not compared. An option
                with the name of an input is shown as that input's label.

        Raises:
            InputError: The directory cannot be written, or holds other files or another run.
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
        """The directory. Raises ValueError for a run without one."""
        if self._out is None:
            raise ValueError("this run has no directory (out=None); ask `file` for places that may be none")
        return self._out

    @property
    def has_directory(self) -> bool:
        """Whether results are written."""
        return self._out is not None

    @property
    def timings_seconds(self) -> dict[str, float]:
        """Seconds that each stage took when it last ran."""
        return dict(self._run["timings_seconds"])

    def file(self, name: str) -> Path | None:
        """Return the path of a file or folder of the run.

        Args:
            name: With `/` between folders.

        Returns:
            The path; None where the run has no directory.
        """
        return None if self._out is None else self._out / name

    def is_done(self, artifacts: Sequence[str] = ()) -> bool:
        """Tell whether the run is finished and all its files exist.

        Args:
            artifacts: Files that must exist, beside those that were passed to `finish`.

        Returns:
            True if there is nothing left to do.

        Raises:
            InputError: A file was changed since the run wrote it.
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
        """Take the lock, and remove the temporary files of a killed run.

        Raises:
            InputError: Another process holds the directory; it is named.
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
        """Release the lock. An error is recorded in run.json; a user's mistake at the start leaves no file."""
        if self._hold is None:
            return
        try:
            if isinstance(error, KeyboardInterrupt) and self._is_recorded:
                error.add_note(f"{self._out} holds what was finished, and the same command goes on from there")
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
        """Write run.json: from here on the run can be resumed."""
        if self._out is None:
            return
        self._run["state"] = "running"
        self._write()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage of the run and record its seconds in run.json.

        Args:
            name: The stage's name there.

        Yields:
            Nothing.
        """
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
        """Make an artifact, or open it if an earlier call of the run made it.

        Args:
            name: File or directory in the run, with `/` between folders.
            make: Computes the artifact.
            save: Writes it to a path of that name, in a temporary folder from which it is moved.
            open: Reads it from its path. Its result is returned also when the artifact was made just now, so that an
                undisturbed run and a resumed one continue with the same values.

        Returns:
            The artifact, as `open` reads it; with no directory, as `make` returns it.

        Raises:
            InputError: The artifact was changed since the run wrote it, or run.json does not name it.
        """
        if self._out is None:
            return make()
        place, digests = self._out / name, self._run["artifacts"]
        if place.exists():
            check_artifact(place, digests.get(name))
            return open(place)
        artifact = make()
        self._claim()
        with atomic_path(place) as temporary:
            save(artifact, temporary)
            digests[name] = artifact_digest(temporary)
            self._write()  # before the artifact appears: one that exists always has its digest
        return open(place)

    def register(self, name: str) -> None:
        """Record the digest of an artifact that a helper process of the run wrote, or check it if it is recorded.

        Args:
            name: A file or directory of the run that exists and is complete.

        Raises:
            InputError: It was changed since it was recorded.
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
        """Open a log of rows in the run.

        Args:
            name: Its file, new or to be continued, with `/` between folders.
            key: The field or fields by which rows are looked up.
            columns: Type of every field, also of the key's.
            about: What the rows belong to, beside the run's command, settings and inputs. A log with another
                description is refused.

        Returns:
            The log; in memory only where the run has no directory.

        Raises:
            InputError: As for `RowLog`.
        """
        subject = {name: self._run[name] for name in ("command", "settings", "inputs")} | dict(about or {})
        return RowLog(self.file(name), about=subject, key=key, columns=columns, claim=self._claim)

    def finish(self, artifacts: Sequence[str] = ()) -> None:
        """Record in run.json that the run is done, and remove the temporary files of killed helper processes.

        Args:
            artifacts: Files whose digests are recorded, so that `is_done` detects changes to them.
        """
        if self._out is None:
            return
        sweep(self._out, LOCK)
        self._run["artifacts"] |= {name: artifact_digest(self._out / name) for name in artifacts}
        self._run["state"] = "done"
        self._write()

    def abandon(self) -> None:
        """Remove run.json, for a run that has nothing worth resuming; an empty directory is removed at the end."""
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
        """Read the earlier run in the directory, if there is one, and compare it with this one."""
        earlier = earlier_record(out, self._run)
        if earlier is not None:
            self._run, self._is_recorded = earlier, True
