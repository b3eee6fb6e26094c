"""Draw a saved table again, as it was or as somebody has changed it."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go

from ..figures import FigureTable, result_page
from ..rundir import InputError, atomic_path, expanded, parse_json, write_text
from ..rundir.readers import WRONG_SHAPE

IMAGES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")


def figure(table: str | Path, *, out: str | Path | None = None) -> go.Figure:
    """Draw a saved table.

    Args:
        table: A file of the folder `tables/` in which results are written.
        out: The file to write: .html, which opens offline, or an image, for which kaleido must be installed. None
            writes none.

    Returns:
        The figure that the table names, with its title and caption.

    Raises:
        InputError: The table cannot be read or is no table of a figure (the message lists the tables beside it), or
            `out` cannot be written.
    """
    target = None if out is None else expanded(out)
    if target is not None and target.suffix not in (".html", *IMAGES):
        raise InputError(f"a figure is written as .html or as an image ({', '.join(IMAGES)}), not as {target.name}")
    source = expanded(table)
    saved, chart = _drawn(source)
    if target is not None and target.suffix == ".html":
        title = str(saved.options.get("title", source.stem))
        write_text(target, result_page(title, f"Drawn from the table {source.name}", {"figure": chart}, saved.rows, []))
    elif target is not None:
        with atomic_path(target) as path:
            _write_image(chart, path)
    return chart


def _drawn(path: Path) -> tuple[FigureTable, go.Figure]:
    beside = sorted((path if path.is_dir() else path.parent).glob("tables/*.json"))
    remedy = (
        f"draw one of {', '.join(file.name for file in beside)} in {beside[0].parent}"
        if beside
        else "give a file of the folder tables/ that reasonlens has written"
    )
    if path.suffix == ".csv":
        raise InputError(f"{path} is CSV and names no figure; {remedy}")
    try:
        saved = FigureTable.from_dict(parse_json(path.read_bytes(), path))
        return saved, saved.draw()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; {remedy}") from None
    except WRONG_SHAPE as error:
        raise InputError(f"{path} cannot be drawn: {str(error).removeprefix(f'{path}: ')}; {remedy}") from None


def _write_image(chart: go.Figure, path: Path) -> None:
    try:
        chart.write_image(path)
    except (ImportError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path.suffix} needs kaleido and a browser ({str(error).strip().splitlines()[0]}); write .html, or "
            "`pip install kaleido` and `kaleido_get_chrome`"
        ) from None
