"""List the forms in which traces are read, and recognise them by content: what a file holds, and what a row is.

How rows lie in a file is told by the file's name or its first bytes, what a row is by the first row. A new form is one
function (rows of a file) or one `RowForm` (traces of a row), listed here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...rundir import InputError, expanded
from ...rundir.errors import short
from ...rundir.names import did_you_mean
from ..jsonl import trace_of_row
from ..trace import Trace
from .conversation import MESSAGES
from .dataset import HUB, dataset_rows, hub_rows
from .eval_archive import eval_samples
from .fields import Fields, Row, check_fields, parsed
from .inspect_samples import INSPECT, refuse_fields
from .json_files import is_json_lines, json_document, json_lines
from .lm_eval import LM_EVAL
from .response import RESPONSE
from .row_form import RowForm, RowReader
from .source import RowFile, opening
from .tables import csv_rows, parquet_rows

logger = logging.getLogger(__name__)

# How rows lie in a file -> a function that yields where each row stands, and the row.
FileReader = Callable[[RowFile], Iterator[tuple[str, Any]]]
FILE_FORMS: dict[str, FileReader] = {
    "jsonl": json_lines,
    "json": json_document,
    "csv": csv_rows,
    "parquet": parquet_rows,
    "dataset": dataset_rows,
    "eval": eval_samples,
}
SUFFIXES = {
    **{"jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv", "tsv": "csv", "parquet": "parquet", "eval": "eval"},
}
JSON_FORMS = ("jsonl", "json")
MAGIC = {b"PAR1": "parquet", b"PK\x03\x04": "eval"}


def _open_traces(first: Row, mapping: Fields, stem: str) -> tuple[RowReader, str]:
    def read(row: Row, number: int) -> list[Trace]:
        return [trace_of_row({**row, "spans": parsed(row["spans"])} if "spans" in row else dict(row))]

    return read, ""


TRACES = RowForm(lambda row: "spans" in row or "annotated" in row, _open_traces, "traces as reasonlens writes them")
# What a row is; the first that fits is taken, and the last one fits any row.
ROW_FORMS: dict[str, RowForm] = {
    "inspect": INSPECT,
    "lm-eval": LM_EVAL,
    "traces": TRACES,
    "messages": MESSAGES,
    "response": RESPONSE,
}
OPTION = re.compile(r"--field \w+=\w*")
FIXED = ("inspect", "lm-eval", "traces")  # whose fields have names of their own


def numbered_traces(
    path: str | Path, form: str | None = None, fields: Mapping[str, str] | None = None
) -> Iterator[tuple[str, Trace]]:
    """Read the traces of a file of any form, one by one.

    Args:
        path: A file, a directory of a dataset, or `hf:NAME`.
        form: A key of `FILE_FORMS` or `ROW_FORMS`; None recognises both.
        fields: Field of a trace -> its name in the file.

    Yields:
        Where each trace stands, and the trace.

    Raises:
        InputError: The file cannot be read, or a row is no trace.
    """
    for place, traces in row_traces(path, form, fields):
        if isinstance(traces, InputError):
            raise traces
        for trace in traces:
            yield place, trace


def row_traces(
    path: str | Path, form: str | None = None, fields: Mapping[str, str] | None = None
) -> Iterator[tuple[str, list[Trace] | InputError]]:
    """Read a file row by row; a row that is no trace ends nothing.

    Args:
        path: As in `numbered_traces`.
        form: Likewise.
        fields: Likewise.

    Yields:
        Where each row stands, and its traces, or the error that names what is wrong with it.

    Raises:
        InputError: The file cannot be read, or its first row is of no form.
    """
    mapping = check_fields(fields)
    if form is not None and form not in {**FILE_FORMS, **ROW_FORMS}:
        names = [*FILE_FORMS, *ROW_FORMS]
        raise InputError(f"there is no form {form!r:.60}; there are {', '.join(names)}.{did_you_mean(form, names)}")
    read: RowReader | None = None
    for number, (place, row) in enumerate(file_rows(path, form if form in FILE_FORMS else None), start=1):
        try:
            if not isinstance(row, dict):
                raise InputError(f"expected a JSON object, found {type(row).__name__}")
            if read is None:
                read = _reader(row, form if form in ROW_FORMS else None, mapping, path)
            traces: list[Trace] | InputError = read(row, number)
        except InputError as error:
            refusal = InputError(f"{place}: {error}")
            refusal.__cause__ = error
            if read is None:
                raise refusal from error
            traces = refusal
        yield place, traces


def _reader(first: Row, form: str | None, mapping: Fields, path: str | Path) -> RowReader:
    if form is None:
        chosen = [name for name in ROW_FORMS if not (mapping and name in FIXED)]
        form = next(name for name in chosen if name in mapping or ROW_FORMS[name].fits(first))
    if form in FIXED:
        refuse_fields(mapping, form)
    stem = RowFile(Path(path)).stem
    try:
        read, note = ROW_FORMS[form].open(first, mapping, stem)
    except InputError as error:
        if form in FIXED:
            raise
        option = OPTION.search(str(error))
        command = f"reasonlens traces convert {path} {option[0] if option else f'--form {form}'} --out traces.jsonl"
        raise InputError(f"{error}: `{command}`") from error
    if note:
        logger.info(f"{short(str(path))}, read as {form}: {note}")
    return read


def file_rows(path: str | Path, form: str | None = None) -> Iterator[tuple[str, Any]]:
    """Read the rows of a file, whatever they are.

    Args:
        path: A file, a directory of a dataset, or `hf:NAME`.
        form: A key of `FILE_FORMS`; None recognises it.

    Yields:
        Where each row stands, and the row.

    Raises:
        InputError: The file cannot be read.
    """
    if str(path).startswith(HUB):
        yield from hub_rows(str(path))
        return
    file = RowFile(expanded(path))
    with opening(file.path):
        yield from FILE_FORMS[form or form_of_file(file.path)](file)


def form_of_file(path: Path) -> str:
    """Tell how rows lie in a file, by its name or first bytes.

    Args:
        path: A file, or a directory of a dataset.

    Returns:
        A key of `FILE_FORMS`.

    Raises:
        InputError: It is of no form that is known.
    """
    file = RowFile(path)
    if file.path.is_dir():
        return "dataset"
    suffix = file.name.rpartition(".")[2] if "." in file.name else ""
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    beginning = file.beginning()
    for magic, form in MAGIC.items():
        if beginning.startswith(magic):
            return form
    if suffix == "json" or beginning.lstrip()[:1] in (b"{", b"["):
        return "jsonl" if is_json_lines(file) else "json"
    raise InputError(
        f"cannot tell what {short(file.path)} is by its name or content: name its form (--form), one of "
        f"{', '.join(FILE_FORMS)}"
    )
