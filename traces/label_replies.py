"""Ask for the labels of numbered sentences in one of two forms, and read a reply in whichever form it came.

LINES: the model is asked for a line for each sentence, `3: deduction`, and may write what it likes.
SCHEMA: it is asked for one object of JSON, {"3": "deduction"}, and the endpoint holds it to a JSON schema with every
    number and every label (`response_format`: the structured outputs of OpenAI, vLLM, llama.cpp and others).

Thoughts before the labels and a code fence around them are left out; a list of labels in order is read as well, and of
an object that is cut off what is there. A name may be spelt in any way that the set understands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..rundir import brief
from .annotators import NO_BEHAVIOUR
from .behaviour_sets import NONE, BehaviourSet
from .thoughts import after_thoughts

LINE = re.compile(r"^[^\w\n]{0,20}(?:sentence\s{1,3})?[^\w\n]{0,5}(\d{1,6})[^\w\n]+(.*)$", re.MULTILINE | re.IGNORECASE)
PAIR = re.compile(r'"(\d{1,6})"\s{0,9}:\s{0,9}"([^"\n]{0,200})"')  # of an object of JSON
REASON = re.compile(r"\s[-–—(]|[:,;(]")  # what a reply may add after a label
FENCE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyForm:
    """The form in which labels are asked for."""

    instruction: str  # with places for {names}, {none} and {first}, the first name
    reminder: str  # after a malformed reply, with a place for {n}
    options: Callable[[int, Sequence[str]], dict[str, Any]]  # of a request, from the number of sentences and the names

    __repr__ = brief


def label_schema(n_sentences: int, names: Sequence[str]) -> dict[str, Any]:
    """Write the options that hold a reply to one label for each sentence.

    Args:
        n_sentences: Sentences that are labelled, from 1.
        names: The labels that there are.

    Returns:
        `response_format` with a JSON schema: every number is required, and nothing else may stand there.
    """
    numbers = [str(number) for number in range(1, n_sentences + 1)]
    label = {"type": "string", "enum": list(names)}
    schema = {
        "type": "object",
        "properties": {number: {"$ref": "#/$defs/label"} for number in numbers},
        "required": numbers,
        "additionalProperties": False,
        "$defs": {"label": label},  # once, as endpoints limit how many values a schema may list
    }
    form = {"name": "labels", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


LINES = ReplyForm(
    instruction="Reply with one line for each: its number, a colon, and one of {names}, {none}. For example:\n"
    "1: {first}",
    reminder='Reply with exactly {n} lines, from "1: " to "{n}: ", and nothing else.',
    options=lambda n_sentences, names: {},
)
SCHEMA = ReplyForm(
    instruction="Reply with one object of JSON: for each, its number and one of {names}, {none}. For example:\n"
    '{{"1": "{first}"}}',
    reminder='Reply with exactly {n} entries, from "1" to "{n}", and nothing else.',
    options=label_schema,
)


def parse_labels(reply: str, n_sentences: int, behaviours: BehaviourSet) -> list[str | None]:
    """Read the labels of a reply.

    Args:
        reply: The reply, with its thoughts.
        n_sentences: Sentences that it should label.
        behaviours: What a sentence may show.

    Returns:
        The label of each sentence: NO_BEHAVIOUR for `none`, None where the reply gives no label of the set, or several.
    """
    text = (after_thoughts(reply) or "").strip()
    fenced = FENCE.search(text)
    text = fenced[1].strip() if fenced else text
    by_number: dict[int, set[str | None]] = {}
    for number, name in _entries(text):
        by_number.setdefault(number, set()).add(_label(name, behaviours))
    labels: list[str | None] = []
    for number in range(1, n_sentences + 1):
        choices = by_number.get(number, set())
        labels.append(next(iter(choices)) if len(choices) == 1 else None)
    return labels


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and name of each label, of JSON or of lines."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, list):
        yield from ((number, name) for number, name in enumerate(content, start=1) if isinstance(name, str))
    elif isinstance(content, dict):
        for key, name in content.items():
            if isinstance(name, str) and re.fullmatch(r"\d{1,6}", key.strip()):
                yield int(key), name
    else:
        pattern = PAIR if text.startswith("{") else LINE
        yield from ((int(match[1]), match[2]) for match in pattern.finditer(text))


def _label(name: str, behaviours: BehaviourSet) -> str | None:
    plain = REASON.split(name.strip(" \t\r\"'`*.,;:()[]"))[0].strip(" \"'`*.")
    return NO_BEHAVIOUR if plain.lower() == NONE else behaviours.named(plain)
