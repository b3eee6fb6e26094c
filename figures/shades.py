"""Colour a number on the one sequential scale, as a page's cells need it: Cividis, readable in grey too."""

from __future__ import annotations

from plotly.colors import get_colorscale, sample_colorscale

from .palette import SEQUENTIAL

N_STOPS = 9


def stops() -> list[str]:
    """List colours at equal steps of the scale, as `rgb(…)`, for a page's script to mix."""
    return list(sample_colorscale(get_colorscale(SEQUENTIAL), [place / (N_STOPS - 1) for place in range(N_STOPS)]))


def shade(value: float | None, low: float, high: float) -> str:
    """Choose the colour of a value.

    Args:
        value: The number; None or NaN has no colour.
        low: Where the scale begins; below it the first colour stays.
        high: Where it ends.

    Returns:
        A colour, `rgb(…)`, or an empty text.
    """
    if value is None or value != value:
        return ""
    share = 0.0 if high <= low else min(1.0, max(0.0, (value - low) / (high - low)))
    return str(sample_colorscale(get_colorscale(SEQUENTIAL), [share])[0])
