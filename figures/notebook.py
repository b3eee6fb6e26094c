"""Show an object at the end of a notebook cell: what it says of itself, and small tables of what it holds."""

from __future__ import annotations

import pandas as pd

from ._text import page_text

N_ROWS, N_COLUMNS = 40, 16  # of a table; rows beyond are counted, columns are taken evenly


def object_html(says: str, tables: dict[str, pd.DataFrame]) -> str:
    """Write an object for a notebook.

    Args:
        says: Its `repr`.
        tables: Caption -> frame, its index shown.

    Returns:
        HTML, every text in it escaped.
    """
    parts = [f"<p><code>{page_text(says)}</code></p>"]
    for caption, frame in tables.items():
        if frame.shape[1] > N_COLUMNS:
            last = frame.shape[1] - 1
            frame = frame.iloc[:, [round(place * last / (N_COLUMNS - 1)) for place in range(N_COLUMNS)]]
        n_left = len(frame) - N_ROWS
        more = f"; {n_left} rows more" if n_left > 0 else ""
        parts.append(f"<p>{page_text(caption)}{more}</p>{_table(frame.iloc[:N_ROWS])}")
    return "<div>" + "\n".join(parts) + "</div>"


def _table(frame: pd.DataFrame) -> str:
    head = "".join(f"<th>{page_text(str(name))}</th>" for name in ("", *frame.columns))
    rows = "".join(
        f"<tr><th>{page_text(str(name))}</th>{''.join(f'<td>{_shown(value)}</td>' for value in row)}</tr>"
        for name, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.3g}"
    return page_text(str(value))
