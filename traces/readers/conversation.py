"""Read chat messages: the last message of the assistant is the text, what stands before it is the prompt.

    one message of the user     the prompt is its text
    a system message            stands before it, with a blank line between
    earlier turns               stand before it, each begins with its role ("User: ", "Assistant: ")

Messages after the last one of the assistant are not read. The problem is the first message of the user, so that what
was asked alike is never on both sides of a split. Messages are `{"role", "content"}` or `{"from", "value"}`; contents
may be lists of parts. Thoughts in a field or part of their own (`reasoning_content`, `reasoning`, `thinking`) stand in
`<think>` before the answer, as models write them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...rundir import InputError, listed
from ..thoughts import TAG
from ..trace import Trace
from .fields import Fields, Row, checked_text, choose_fields, identifier, parsed, value
from .row_form import RowForm, RowReader

ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant", "ai": "assistant"}
ROLE_KEYS, CONTENT_KEYS, THOUGHT_KEYS = (
    ("role", "from"),
    ("content", "value"),
    ("reasoning_content", "reasoning", "thinking"),
)
ASSISTANT, USER, SYSTEM = "assistant", "user", ("system", "developer")


@dataclass(frozen=True, slots=True)
class Message:
    """Who speaks in a conversation, and what is said, thoughts included."""

    role: str
    text: str


def messages_of(held: Any) -> list[Message]:
    """Read the messages of a conversation.

    Args:
        held: A list of messages, one message, or the JSON of either.

    Returns:
        The messages.

    Raises:
        InputError: It is something else.
    """
    held = parsed(held)
    members = [held] if isinstance(held, Mapping) else held
    if not isinstance(members, list):
        raise InputError(f"messages are a list of objects with role and content, found {held!r:.60}")
    return [_message(member) for member in members]


def with_thoughts(thoughts: str, answer: str) -> str:
    """Put thoughts in tags before an answer; an answer that holds tags, or has no thoughts, stays as it is."""
    if not thoughts.strip() or TAG.search(answer):
        return answer
    return f"<think>\n{thoughts.strip()}\n</think>\n\n{answer}"


def prompt_of(messages: Sequence[Message]) -> str:
    """Join the messages before a response to its prompt."""
    system = [message.text for message in messages if message.role in SYSTEM]
    turns = [message for message in messages if message.role not in SYSTEM]
    if len(turns) > 1:
        return "\n\n".join([*system, *(f"{turn.role.capitalize()}: {turn.text}" for turn in turns)])
    return "\n\n".join([*system, *(turn.text for turn in turns)])


def divided(messages: Sequence[Message]) -> tuple[str, str | None]:
    """Divide a conversation into the prompt and the last message of the assistant (None without one)."""
    places = [place for place, message in enumerate(messages) if message.role == ASSISTANT]
    if not places:
        return prompt_of(messages), None
    return prompt_of(messages[: places[-1]]), messages[places[-1]].text


def question_of(messages: Sequence[Message]) -> str:
    """Return the first message of the user, which names the problem; empty without one."""
    return next((message.text for message in messages if message.role == USER), "")


def _open(first: Row, mapping: Fields, stem: str) -> tuple[RowReader, str]:
    fields = choose_fields(first, mapping, ("messages", "problem", "id"))
    if "messages" not in fields:
        raise InputError(
            f"no field holds messages; the fields here are {listed(first, 20)}; name it (--field messages=NAME)"
        )

    def read(row: Row, number: int) -> list[Trace]:
        messages = messages_of(value(row, fields["messages"]))
        prompt, response = divided(messages)
        if response is None:
            raise InputError(f"no message in {fields['messages']!r:.60} is the assistant's: there is no response")
        problem = identifier(row, fields["problem"]) if "problem" in fields else question_of(messages)
        name = identifier(row, fields["id"]) if "id" in fields else ""
        return [Trace(name or f"{stem}-{number}", prompt, response, problem=problem)]

    problem = repr(fields["problem"]) if "problem" in fields else "the first message of the user"
    note = f"text: the last message of the assistant in {fields['messages']!r:.60}; prompt: the messages before it"
    return read, f"{note}; problem: {problem}"


def _message(member: Any) -> Message:
    if not isinstance(member, Mapping):
        raise InputError(f"a message is an object with role and content, found {member!r:.60}")
    role = next((member[key] for key in ROLE_KEYS if isinstance(member.get(key), str)), None)
    if role is None:
        raise InputError(f"a message has no role (one of {', '.join(ROLE_KEYS)}): {dict(member)!r:.60}")
    content = next((member[key] for key in CONTENT_KEYS if key in member), None)
    thoughts, answer = _parts(content)
    thoughts += [member[key] for key in THOUGHT_KEYS if isinstance(member.get(key), str)][:1]
    role = ROLES.get(role.lower(), role.lower())
    return Message(role, with_thoughts(checked_text("\n\n".join(thoughts), "reasoning"), answer))


def _parts(content: Any) -> tuple[list[str], str]:
    """Return the thoughts and the text of a content; parts that are neither (images, calls) are left out."""
    if not isinstance(content, list):
        return [], checked_text(content, "content")
    parts = [part for part in content if isinstance(part, Mapping)]
    thoughts = [part[key] for part in parts for key in THOUGHT_KEYS if isinstance(part.get(key), str)]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    texts += [part for part in content if isinstance(part, str)]
    return thoughts, checked_text("\n\n".join(texts), "content")


def fits(row: Row) -> bool:
    """Tell whether a row holds messages under a usual name, one of them the assistant's."""
    fields = choose_fields(row, {}, ("messages",))
    try:
        return "messages" in fields and divided(messages_of(value(row, fields["messages"])))[1] is not None
    except InputError:
        return False


MESSAGES = RowForm(fits, _open, "chat messages: role and content")
