"""Read rows that hold a prompt and a response under names of their own, as most tools write what models answered.

The prompt may also be chat messages that end before the response. A field that holds several responses gives several
traces of one problem. Labels are read where there are any: `spans`, or the annotated form. Thoughts in a field of their
own stand in `<think>` before the response. Other fields are left out, so that a file may hold anything else.
"""

from __future__ import annotations

from typing import Any

from ...rundir import InputError, did_you_mean, listed
from ..annotated import parse_annotated
from ..jsonl import span_of_row
from ..trace import Span, Trace
from .conversation import messages_of, prompt_of, question_of, with_thoughts
from .fields import MOST_NAMES, USUAL, Fields, Row, checked_text, choose_fields, identifier, parsed, text, value
from .row_form import RowForm, RowReader

NAMES = ("annotated", "text", "spans", "thoughts", "prompt", "messages", "problem", "id")
LABELS = ("spans", "annotated")


def _open(first: Row, mapping: Fields, stem: str) -> tuple[RowReader, str]:
    if "text" in mapping and "annotated" not in mapping:
        mapping = mapping | {"annotated": ""}
    fields = choose_fields(first, mapping, NAMES)
    if "annotated" in fields:
        for name in ("text", "spans", "thoughts"):
            fields.pop(name, None)
    elif "text" not in fields:
        raise InputError(_missing(first, "text", "the response"))
    if "prompt" in fields:
        fields.pop("messages", None)
    elif "messages" not in fields and mapping.get("prompt") != "":
        raise InputError(f"{_missing(first, 'prompt', 'the prompt')}, or state that there is none (--field prompt=)")
    _check_labels(first, fields, mapping)

    def read(row: Row, number: int) -> list[Trace]:
        prompt, problem = _prompt(row, fields)
        name = (identifier(row, fields["id"]) if "id" in fields else "") or f"{stem}-{number}"
        responses = _responses(row, fields)
        return [
            Trace(name if len(responses) == 1 else f"{name}/{place}", prompt, response, tuple(spans), problem or name)
            for place, (response, spans) in enumerate(responses, start=1)
        ]

    left_out = [name for name in first if name not in fields.values()]
    note = ", ".join(f"{field} from {name!r:.60}" for field, name in fields.items())
    return read, note + (f"; not read: {listed(left_out)}" if left_out else "")


def _prompt(row: Row, fields: Fields) -> tuple[str, str]:
    """Read the prompt of a row, and its problem: by default the prompt, or the question of messages."""
    prompt = problem = text(row, fields["prompt"]) if "prompt" in fields else ""
    if "messages" in fields:
        messages = messages_of(value(row, fields["messages"]))
        prompt, problem = prompt_of(messages), question_of(messages) or prompt_of(messages)
    return prompt, (identifier(row, fields["problem"]) if "problem" in fields else "") or problem


def _responses(row: Row, fields: Fields) -> list[tuple[str, list[Span]]]:
    """Read the responses of a row, each with its labels."""
    if "annotated" in fields:
        return [parse_annotated(text(row, fields["annotated"]))]
    held = value(row, fields["text"])
    texts = [checked_text(one, fields["text"]) for one in (held if isinstance(held, list) else [held])]
    spans = _spans(value(row, fields["spans"]), fields["spans"]) if "spans" in fields else []
    if spans and len(texts) != 1:
        raise InputError(f"{fields['text']!r} holds {len(texts)} responses, and spans belong to one")
    if "thoughts" not in fields:
        return [(one, spans) for one in texts]
    if spans:
        raise InputError(
            f"spans count characters of the response, and {fields['thoughts']!r} would be put before it; leave one out "
            "(--field thoughts= or --field spans=)"
        )
    return [(with_thoughts(text(row, fields["thoughts"]), one), []) for one in texts]


def _spans(held: Any, name: str) -> list[Span]:
    held = parsed(held)
    if held is not None and not isinstance(held, list):
        raise InputError(f"{name!r:.60} must be a list of spans with start, end and label, found {held!r:.60}")
    return [span_of_row(span) for span in held or []]


def _missing(row: Row, field: str, what: str) -> str:
    usual = USUAL[field]
    near = next((hint for name in [*row][:MOST_NAMES] if (hint := did_you_mean(name, usual, cutoff=0.75))), "")
    return (
        f"no field holds {what} under a usual name ({', '.join(usual[:6])}, ...).{near} The fields here are "
        f"{listed(row, 20)}; name it (--field {field}=NAME)"
    )


def _check_labels(row: Row, fields: Fields, mapping: Fields) -> None:
    """Refuse a field that is almost called as labels are: it would be left out in silence."""
    for name in [*row][:MOST_NAMES]:
        near = did_you_mean(name, LABELS, cutoff=0.75)
        if near and name not in fields.values() and not any(label in mapping for label in LABELS):
            raise InputError(
                f"is {name!r:.60} a field of labels?{near} Map it (--field spans={name:.60}), or leave it out "
                "(--field spans=)"
            )


def fits(row: Row) -> bool:
    """Tell whether a row holds a response under a usual name; what nothing else fits is read so, to name what lacks."""
    return True


RESPONSE = RowForm(fits, _open, "a prompt and a response, under names of their own")
