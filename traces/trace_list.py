"""Hold traces in a list that says in one line what is in it."""

from __future__ import annotations

from collections import Counter
from typing import SupportsIndex, overload

from .trace import Trace


class TraceList(list[Trace]):
    """A list of traces; it does all that a list does, and its slices and sums are such lists too."""

    def __repr__(self) -> str:
        labels = Counter(span.label for trace in self for span in trace.spans)
        shown = ", ".join(f"{label:.40} {count}" for label, count in labels.most_common(8))
        more = f" and {len(labels) - 8} more labels" if len(labels) > 8 else ""
        problems = len({trace.problem for trace in self})
        return (
            f"{len(self)} traces of {problems} problems, {labels.total()} labelled spans"
            f"{f' ({shown}{more})' if labels else ''}; traces[0] is the first, .spans of a trace its labels"
        )

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Trace: ...
    @overload
    def __getitem__(self, place: slice, /) -> TraceList: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> Trace | TraceList:
        """Return one trace, or those of a slice."""
        return TraceList(super().__getitem__(place)) if isinstance(place, slice) else super().__getitem__(place)

    def __add__(self, others: list[Trace], /) -> TraceList:  # type: ignore[override]
        """Return the traces of both."""
        return TraceList([*self, *others])

    def copy(self) -> TraceList:
        """Return another list of the same traces."""
        return TraceList(self)
