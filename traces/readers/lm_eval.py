"""Read the samples that lm-eval (the evaluation harness) logs with `--log_samples`, one JSON line each.

Every response is a trace, its problem the document. The prompt is the whole context that the model was given, examples
and chat markup included, as the harness built it. The harness logs a document once for each filter of answers, with the
same responses: those of the first filter are read. Tasks that compare likelihoods hold no responses and are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...rundir import InputError
from ..trace import Trace
from .fields import Fields, Row, checked_text, identifier, value
from .row_form import RowForm, RowReader


def _open(first: Row, mapping: Fields, stem: str) -> tuple[RowReader, str]:
    first_filter = first.get("filter")

    def read(row: Row, number: int) -> list[Trace]:
        if row.get("filter") != first_filter:
            return []
        document = identifier(row, "doc_id")
        prompts = [_prompt(request) for request in _requests(value(row, "arguments"))]
        responses = value(row, "resps")
        if not isinstance(responses, list) or len(responses) != len(prompts):
            raise InputError(
                f"'arguments' holds {len(prompts)} requests and 'resps' other responses: {responses!r:.60}"
            )
        texts = [(prompt, one) for prompt, group in zip(prompts, responses, strict=True) for one in _texts(group)]
        name = f"{stem}-{document}"
        return [
            Trace(name if len(texts) == 1 else f"{name}/{place}", prompt, one, problem=f"doc {document}")
            for place, (prompt, one) in enumerate(texts, start=1)
        ]

    of_filter = "" if first_filter is None else f"; of several filters, rows of {first_filter!r:.40} alone"
    return read, f"text: 'resps'; prompt: the context in 'arguments'; problem: 'doc_id'{of_filter}"


def _requests(held: Any) -> list[Any]:
    """List the arguments of each request: `{"gen_args_0": {"arg_0": ...}}`, or lists in logs of older versions."""
    groups = list(held.values()) if isinstance(held, Mapping) else held
    if not isinstance(groups, list):
        raise InputError(f"'arguments' must be a list or an object, found {held!r:.60}")
    return [list(group.values()) if isinstance(group, Mapping) else group for group in groups]


def _prompt(request: Any) -> str:
    if not isinstance(request, list) or not request:
        raise InputError(f"'arguments' holds no context: {request!r:.60}")
    if len(request) > 1 and isinstance(request[1], str):
        raise InputError("the task compares likelihoods, and the model wrote no response; log one that generates")
    return checked_text(request[0], "arguments")


def _texts(group: Any) -> Iterator[str]:
    for member in group if isinstance(group, list) else [group]:
        if isinstance(member, list):
            yield from _texts(member)
        else:
            yield checked_text(member, "resps")


def fits(row: Row) -> bool:
    """Tell whether a row is a sample of lm-eval."""
    return {"doc_id", "arguments", "resps"} <= row.keys()


LM_EVAL = RowForm(fits, _open, "samples of lm-eval, logged with --log_samples")
