"""Open the run directory of a command on a model and traces, and read back the result of a run that is done."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..models import load
from ..models._load import ModelLike
from ..models.content import model_digest
from ..rundir import RunDirectory, check_kinds, read_json
from ..rundir.result_files import RESULTS
from ..traces import Trace, digest

logger = logging.getLogger(__name__)


def model_run(
    out: str | Path | None,
    command: str,
    model: ModelLike,
    traces: Sequence[Trace],
    settings: Mapping[str, Any],
    *,
    changeable: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> RunDirectory:
    """Open the run directory of a model, traces and settings.

    Args:
        out: The directory: new, of a run to be resumed, or of one that is done. None writes nothing.
        command: The command, as on the command line.
        model: What `load` takes; compared by content.
        traces: The traces; compared by content.
        settings: Everything that decides the results; compared.
        changeable: Settings that a later call may change.
        device: Where the model runs; recorded, not compared.

    Returns:
        The run directory; nothing is written yet.

    Raises:
        InputError: The directory cannot be used, or holds another run.
    """
    if out is None:
        return RunDirectory(None, command)
    name = str(model) if isinstance(model, str | Path) else load(model).name
    return RunDirectory(
        out,
        command,
        settings=settings,
        inputs={"model": model_digest(model), "traces": digest(traces)},
        changeable=changeable,
        options={"model": name, "device": device},
    )


def done_content(run: RunDirectory, artifacts: Sequence[str]) -> dict[str, Any] | None:
    """Read results.json if the run is done, and log that it is.

    Args:
        run: The run directory.
        artifacts: Files that a finished run has written.

    Returns:
        The content, for `from_dict` of the result; None if the run is not done.

    Raises:
        InputError: A file was changed since the run wrote it.
    """
    if not run.is_done(artifacts):
        return None
    logger.info(f"{run.path} is done already; remove it or choose another --out to run again")
    return check_kinds(read_json(run.path / RESULTS, "results"), {}, run.path / RESULTS)
