"""Read the samples of Inspect (inspect_ai), from its logs as JSON or .eval.

A sample of an epoch is a trace, or one for each choice of its output; its problem is the sample, so that epochs stay
together. The prompt is what the model was shown before it answered (`messages`, as in `conversation.py`: the last turn
counts where there are several). A sample that ended in an error has an empty text. References to attachments are
resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...rundir import InputError
from ..trace import Trace
from .conversation import Message, divided, messages_of
from .fields import Fields, Row, identifier, text
from .row_form import RowForm, RowReader

ATTACHMENT = "attachment://"


def _open(first: Row, mapping: Fields, stem: str) -> tuple[RowReader, str]:
    def read(row: Row, number: int) -> list[Trace]:
        attachments = row.get("attachments")
        row = {key: _resolved(row.get(key), attachments if isinstance(attachments, Mapping) else {}) for key in READ}
        sample = identifier(row, "id")
        name = f"{sample}_epoch_{identifier(row, 'epoch')}"
        shown = messages_of(row["messages"]) if row["messages"] else _input(row)
        prompt, response = divided(shown)
        texts = _choices(row["output"]) or [response or ""]
        return [
            Trace(name if len(texts) == 1 else f"{name}/{place}", prompt, one, problem=sample)
            for place, one in enumerate(texts, start=1)
        ]

    return read, "text: the model's output; prompt: the messages before it; problem: the sample, whatever the epoch"


READ = ("id", "epoch", "input", "messages", "output")


def _choices(output: Any) -> list[str]:
    choices = output.get("choices") if isinstance(output, Mapping) else None
    if not isinstance(choices, list):
        return []
    messages = [choice["message"] for choice in choices if isinstance(choice, Mapping) and "message" in choice]
    return [messages_of(message)[0].text for message in messages]


def _input(row: Row) -> list[Message]:
    return [Message("user", text(row, "input"))] if isinstance(row["input"], str) else messages_of(row["input"])


def _resolved(held: Any, attachments: Mapping[str, Any]) -> Any:
    """Replace references to attachments by what they refer to."""
    if isinstance(held, str) and held.startswith(ATTACHMENT):
        return attachments.get(held.removeprefix(ATTACHMENT), held)
    if isinstance(held, list):
        return [_resolved(member, attachments) for member in held]
    if isinstance(held, Mapping):
        return {key: _resolved(member, attachments) for key, member in held.items()}
    return held


def fits(row: Row) -> bool:
    """Tell whether a row is a sample of Inspect."""
    return {"id", "epoch", "input"} <= row.keys() and isinstance(row.get("output"), Mapping | None)


def refuse_fields(mapping: Fields, form: str) -> None:
    """Refuse a mapping of fields where the form says which are which."""
    if mapping:
        raise InputError(f"the fields of the form {form} have their places: leave --field out, or take --form response")


INSPECT = RowForm(fits, _open, "samples of Inspect (inspect_ai)")
