"""Read and write traces as JSON lines, the form of the house.

One object a line: `{"id", "prompt", "text", "spans": [{"start", "end", "label"}], "problem"?, "metadata"?}`. A span may
carry `"marked"`. In place of `text` and `spans` a line may hold `"annotated"`, the published form (see `annotated.py`).
Other keys are refused, since a misspelt one would be ignored in silence; what `metadata` holds is not read.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..rundir import InputError, atomic_path, did_you_mean, parse_json
from .annotated import has_end_tag, parse_annotated
from .trace import Span, Trace

logger = logging.getLogger(__name__)

FREE = "metadata"
KEYS = ("id", "prompt", "text", "spans", "annotated", "problem", FREE)
LEFT_OUT = "`reasonlens traces convert FILE --form response` leaves it out"
SPAN_KEYS = ("start", "end", "label", "marked")


def parse_line(line: str, source: str) -> Trace:
    """Parse one line of JSON as a trace; errors name `source`."""
    return trace_of_row(parse_json(line, source), source)


def trace_of_row(row: Any, source: str = "") -> Trace:
    """Make a trace of a table's row with the fields of a line; errors name `source`, if there is one."""
    try:
        return _trace(row)
    except InputError as error:
        raise InputError(f"{source}: {error}" if source else error) from error


def write_traces(
    traces: Iterable[Trace], path: str | Path, metadata: Iterable[Mapping[str, Any]] | None = None
) -> None:
    """Write traces as JSONL, atomically; `read_traces` restores them exactly.

    Args:
        traces: The traces.
        path: The file to write.
        metadata: What stands beside each trace, any JSON; None: nothing. `read_traces` leaves it out.
    """
    rows = [trace_row(trace) for trace in traces]
    if metadata is not None:
        rows = [row | {FREE: dict(beside)} for row, beside in zip(rows, metadata, strict=True)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    with atomic_path(Path(path)) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def digest(traces: Iterable[Trace]) -> str:
    """Digest the content of traces, for the provenance of results.

    Args:
        traces: The traces.

    Returns:
        16 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps([trace_row(trace) for trace in traces]).encode()).hexdigest()[:16]


def trace_row(trace: Trace) -> dict[str, Any]:
    """Return the line of a trace, as plain values."""
    spans = [
        {"start": span.start, "end": span.end, "label": span.label}
        | ({} if span.marked is None else {"marked": span.marked})
        for span in trace.spans
    ]
    return {"id": trace.id, "prompt": trace.prompt, "text": trace.text, "spans": spans, "problem": trace.problem}


def _trace(row: Any) -> Trace:
    if not isinstance(row, dict):
        raise InputError(f"expected a JSON object, found {type(row).__name__}")
    _check_keys(row, KEYS)
    row = {key: value for key, value in row.items() if value is not None}  # tables hold null for what a row lacks
    trace_id = str(_field(row, "id", (str, int)))
    if "annotated" in row:
        if overridden := [key for key in ("text", "spans") if key in row]:
            raise InputError(f"'annotated' stands in place of 'text' and 'spans', and there is {overridden[0]!r} too")
        annotated = _field(row, "annotated", str)
        text, spans = parse_annotated(annotated)
        if not spans and has_end_tag(annotated):
            logger.warning(f"trace {trace_id}: sections end in its annotated text, and none begins with a known label")
    else:
        text, spans = _field(row, "text", str), [span_of_row(span) for span in _field(row, "spans", list)]
    return Trace(
        id=trace_id,
        prompt=_field(row, "prompt", str),
        text=text,
        spans=tuple(spans),
        problem=str(_field(row, "problem", (str, int))) if "problem" in row else "",
    )


def _check_keys(row: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Refuse a key that is ignored otherwise: `probelm` would make every trace a problem of its own."""
    for key in row:
        if key not in keys:
            hint = did_you_mean(key, keys, cutoff=0.5).replace(" Did", "; did") or "."
            free = f"; anything else goes into {FREE!r}, or {LEFT_OUT}" if FREE in keys else ""
            raise InputError(f"there is no key {key!r:.60}{hint} The keys are {', '.join(keys)}{free}")


def span_of_row(row: Any) -> Span:
    """Make a span of an object with start, end and label; raise InputError where it is none."""
    if not isinstance(row, dict):
        raise InputError(f"a span must be an object with start, end and label, found {row!r:.60}")
    _check_keys(row, SPAN_KEYS)
    marked = _field(row, "marked", bool) if row.get("marked") is not None else None
    return Span(_field(row, "start", int), _field(row, "end", int), _field(row, "label", str), marked)


def _plain(value: Any) -> Any:
    """Return what JSON would give for a number of numpy's and for a tuple, which rows of data frames hold."""
    if isinstance(value, np.integer):
        return int(value)
    return list(value) if isinstance(value, tuple) else value


def _field(row: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    if key not in row:
        present = ", ".join(f"{other!r:.60}" for other in [*row][:20])
        raise InputError(f"{key!r} is missing (found: {present or 'nothing'})")
    value = _plain(row[key])
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        expected = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise InputError(f"{key!r} must be {expected}, found {value!r:.60}")
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"{key!r} holds half of a surrogate pair, which is no text; was an emoji cut in two?")
    return value
