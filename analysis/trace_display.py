"""Show traces with their labels in colours: on a terminal, in a notebook, or on a page that opens offline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..figures.labelled import LabelledText, labelled_fragment, labelled_page
from ..rundir import InputError, did_you_mean, looked_at, names_of, whole_number, write_text
from ..traces import Trace, TraceList, TraceSource, iter_traces, stream_traces
from ..traces.bundled import place_of
from ..traces.display import labelled_texts

N_SHOWN = 3


@dataclass(frozen=True, eq=False)
class ShownTraces:
    """Traces to look at; in a notebook they are shown with their labels in colours."""

    traces: TraceList
    source: str  # the file's name

    def texts(self) -> list[LabelledText]:
        """Convert to what a page shows."""
        return labelled_texts(self.traces)

    def to_html(self, path: str | Path | None = None) -> str:
        """Write a page of its own, which opens offline.

        Args:
            path: The file; None writes nothing.

        Returns:
            The page, HTML; what models wrote in it is escaped.
        """
        page = labelled_page(self.texts(), title=f"Traces of {self.source}")
        if path is not None:
            write_text(Path(path), page)
        return page

    def _repr_html_(self) -> str:
        return labelled_fragment(self.texts())

    @looked_at(".to_html(), .traces")
    def __repr__(self) -> str:
        return f"ShownTraces({len(self.traces)} of {self.source!r:.60})"


def traces_show(
    source: TraceSource,
    *,
    ids: Sequence[str] | None = None,
    n: int = N_SHOWN,
    form: str | None = None,
    fields: Mapping[str, str] | None = None,
) -> ShownTraces:
    """Show traces with their labels in colours.

    Args:
        source: "bundled", a file of any form, or traces.
        ids: The traces to show; None shows the first.
        n: How many of the first.
        form: How a file is read, such as "messages" or "csv"; None recognises it.
        fields: Field of a trace -> its name in the file.

    Returns:
        The traces; in a notebook they show themselves, `to_html` writes a page.

    Raises:
        InputError: The source cannot be read or holds no trace, or no trace has one of the ids.
    """
    whole_number(n, "n")
    if isinstance(source, str | Path):
        name, stream = Path(source).name, iter_traces(place_of(source), form=form, fields=fields)
    else:
        name, stream = "the list", stream_traces(source)
    chosen = list(islice(stream, n)) if ids is None else _with_ids(stream, names_of(ids, "ids"))
    if not chosen:
        raise InputError(f"{name} holds no traces")
    return ShownTraces(TraceList(chosen), name)


def _with_ids(stream: Iterator[Trace], ids: tuple[str, ...]) -> list[Trace]:
    traces: dict[str, Trace] = {}
    others: list[str] = []
    for trace in stream:
        if trace.id in ids:
            traces.setdefault(trace.id, trace)
        elif len(others) < 10_000:
            others.append(trace.id)
    for name in ids:
        if name not in traces:
            raise InputError(f"no trace has the id {name!r:.60}.{did_you_mean(name, [*others, *traces])}")
    return [traces[name] for name in ids]
