"""Write traces with their labels in colours, for notebooks and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..figures.labelled import LabelledText

N_SHOWN = 3  # of a list


def labelled_texts(traces: Sequence[Any]) -> list[LabelledText]:
    """Convert traces to what pages and notebooks show.

    Args:
        traces: The traces.

    Returns:
        Their texts with labels, in order.
    """
    from ..figures.labelled import LabelledText  # figures take long to import, and few traces are shown

    return [
        LabelledText(
            name=trace.id,
            prompt=trace.prompt,
            text=trace.text,
            labels=[(span.start, span.end, span.label) for span in trace.spans],
        )
        for trace in traces
    ]


def traces_html(traces: Sequence[Any]) -> str:
    """Write the first of some traces in colours.

    Args:
        traces: The traces.

    Returns:
        HTML to stand in a notebook, every text escaped.
    """
    from ..figures.labelled import labelled_fragment

    n_more = len(traces) - N_SHOWN
    remark = f"{n_more} more traces; traces[0], or reasonlens.traces_show(traces, n=...)" if n_more > 0 else ""
    return labelled_fragment(labelled_texts(traces[:N_SHOWN]), note=remark)
