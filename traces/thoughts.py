"""Tell the thoughts of a response from its answer, by the tags that thinking models write around them."""

from __future__ import annotations

import re

_OPENER = r"<think(?:ing)?>|<\|begin_of_thought\|>"
_CLOSER = r"</think(?:ing)?>|<\|end_of_thought\|>"
OPENER = re.compile(_OPENER, re.IGNORECASE)
CLOSER = re.compile(_CLOSER, re.IGNORECASE)
TAG = re.compile(f"{_OPENER}|{_CLOSER}", re.IGNORECASE)


def begins_with_thoughts(response: str) -> bool:
    """Check whether a response begins with the tag that opens thoughts."""
    return OPENER.match(response.lstrip()) is not None


def without_opener(prefix: str) -> str:
    """Remove the tag that opens thoughts from the end of what a chat template writes before a response."""
    openers = list(OPENER.finditer(prefix))
    return prefix[: openers[-1].start()] if openers and not prefix[openers[-1].end() :].strip() else prefix


def ending_opener(prefix: str) -> str:
    """Return the tag that opens thoughts at the end of a prompt; empty where none stands there.

    A response to such a prompt shows no opening tag of its own: put this before it, and nothing counts as an answer
    before the thoughts end.
    """
    return opening_of(prefix).strip()


def opening_of(prefix: str) -> str:
    """Return the tag that opens thoughts at the end of a prompt as it stands there, with the white space after it."""
    return prefix[len(without_opener(prefix)) :]


def thoughts_of(response: str) -> tuple[int, int] | None:
    """Find the thoughts of a response.

    Args:
        response: The response, with or without the tag that opens the thoughts (a chat template may have opened them).

    Returns:
        The characters [start, end) between the tags, to the end where no tag closes them; None without any tag.
    """
    first = TAG.search(response)
    if first is None:
        return None
    start = first.end() if OPENER.fullmatch(first.group()) else 0
    closer = CLOSER.search(response, start)
    return start, closer.start() if closer else len(response)


def answer_of(response: str) -> tuple[int, int] | None:
    """Find the answer of a response: the characters [start, end) after its thoughts, without white space around them.

    Args:
        response: The response; where the prompt opened thoughts, with that tag.

    Returns:
        The characters; None where thoughts are opened and never closed. All of a response without tags.
    """
    answer = after_thoughts(response)
    if answer is None:
        return None
    start = len(response) - len(answer.lstrip())
    return start, start + len(answer.strip())


def after_thoughts(response: str) -> str | None:
    """Return what a response says after its thoughts.

    Args:
        response: The response.

    Returns:
        The text after the last closing tag, all of a response without tags, and None where thoughts are opened and
        never closed: such a response has answered nothing.
    """
    closers = list(CLOSER.finditer(response))
    end = closers[-1].end() if closers else 0
    return None if OPENER.search(response, end) else response[end:]
