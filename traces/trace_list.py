"""Hold traces in a list that says in one line what is in it."""

from __future__ import annotations

from collections import Counter
from typing import SupportsIndex, overload

from ..rundir import listed, looked_at
from .display import traces_html
from .trace import Trace


class TraceList(list[Trace]):
    """A list of traces; it does all that a list does, and its slices and sums are such lists too."""

    def _repr_html_(self) -> str:
        """Show the first traces with their labels in colours."""
        return traces_html(self)

    @looked_at("traces[0], traces[0].spans")
    def __repr__(self) -> str:
        counts = Counter(span.label for trace in self for span in trace.spans)
        labels = listed(f"{label} {count}" for label, count in counts.most_common())
        return (
            f"TraceList({len(self)} traces of {len({trace.problem for trace in self})} problems, {counts.total()} "
            f"labelled spans{f': {labels}' if labels else ''})"
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
