r"""Tell whether a response ends with an answer in the form that is asked for, whatever the answer is.

    auto      a box, a mark, tags or a phrase (any below); of organisms: an answer sentence, within the limit
    box       \boxed{...}
    mark      #### ...
    tags      <answer> ... </answer>
    phrase    the answer is ...
    ended     the model ended its response by itself

A response that was cut off is never in form. A right answer out of form is one that the grader finds all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from ...organisms import problem_of, read
from ...traces.questions import last_box

FormName = Literal["auto", "box", "mark", "tags", "phrase", "ended"]

_MARK = re.compile(r"####\s*\S")
_TAGS = re.compile(r"<answer>.*\S.*</answer>", re.DOTALL | re.IGNORECASE)
_PHRASE = re.compile(r"\b(?:final\s+)?answer\s+(?:is|=|:)\s*\S|\banswer:\s*\S", re.IGNORECASE)


def _has_box(text: str) -> bool:
    return bool((last_box(text) or "").strip())


def _has_mark(text: str) -> bool:
    return _MARK.search(text) is not None


def _has_tags(text: str) -> bool:
    return _TAGS.search(text) is not None


def _has_phrase(text: str) -> bool:
    return _PHRASE.search(text) is not None


def _has_any(text: str) -> bool:
    return _has_box(text) or _has_mark(text) or _has_tags(text) or _has_phrase(text)


# A new form is one function of a response, listed here and in `FormName`.
FORMS: Mapping[str, Callable[[str], bool]] = {
    "auto": _has_any,
    "box": _has_box,
    "mark": _has_mark,
    "tags": _has_tags,
    "phrase": _has_phrase,
    "ended": lambda text: True,
}


def is_in_form(text: str, *, is_truncated: bool, form: FormName) -> bool:
    """Tell whether a response to a question has a form.

    Args:
        text: The response.
        is_truncated: Whether it was cut off.
        form: The form.

    Returns:
        Whether it has.
    """
    return not is_truncated and FORMS[form](text)


def organism_is_in_form(prompt: str, text: str) -> bool:
    """Tell whether a response of an organism ends with an answer sentence, within the limit of the task.

    Args:
        prompt: The problem.
        text: The response.

    Returns:
        Whether it does.
    """
    return read(problem_of(prompt), text.split()).is_ended
