"""Define what reads the rows of one form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..trace import Trace
from .fields import Fields, Row

# Makes the traces of a row, given the number of the row, from 1.
RowReader = Callable[[Row, int], list[Trace]]


@dataclass(frozen=True)
class RowForm:
    """What a row may be: how it is recognised and read. A new form is one of these, listed in `forms.ROW_FORMS`."""

    fits: Callable[[Row], bool]
    # (first row, what the user maps, beginning of ids) -> the reader, and in words what it takes.
    open: Callable[[Row, Fields, str], tuple[RowReader, str]]
    about: str
