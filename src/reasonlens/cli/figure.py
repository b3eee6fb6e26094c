"""Draw a saved table again: `reasonlens figure`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import next_command, note
from reasonlens.cli.options import OutFileOrNone, Quiet, path_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

IMAGES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")


def figure(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="A file of tables/, where a command has written its results.",
            parser=path_of,
        ),
    ],
    out: OutFileOrNone = None,
    quiet: Quiet = False,
) -> None:
    """Draw a saved table again, as it was or as you have changed it.

    Example: `reasonlens figure runs/locate-smollm2-135m-bundled/tables/curves.json --out curves.png`

    `--out` is .html, which opens offline, or an image (.png, .svg, .pdf) where kaleido is installed; by default the
    table's name with .html, in the working directory. Every table names its figure and holds its title and caption
    beside the rows, so a script may leave out rows, merge two runs or change a title, and the figure follows.
    """
    import reasonlens
    from reasonlens.rundir import InputError, atomic_path, write_text

    target = out or Path(f"{table.stem}.html")
    if target.suffix not in (".html", *IMAGES):
        raise InputError(f"a figure is written as .html or as an image ({', '.join(IMAGES)}), not as {target.name}")
    try:
        chart = reasonlens.figure(table)
    except ValueError as error:
        raise InputError(str(error)) from None
    if target.suffix == ".html":
        page = chart.to_html(div_id="figure", include_plotlyjs=True, full_html=True, config={"displaylogo": False})
        write_text(target, page)
    else:
        with atomic_path(target) as path:
            _write_image(chart, path)
    note(f"figure: {target}")
    next_command("figure", table, "--out", target.with_suffix(".svg" if target.suffix == ".html" else ".html"))


def _write_image(chart: go.Figure, path: Path) -> None:
    from reasonlens.rundir import InputError

    try:
        chart.write_image(path)
    except (ImportError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path.suffix} needs kaleido and a browser ({str(error).strip().splitlines()[0]}); write .html, or "
            "`pip install kaleido` and `kaleido_get_chrome`"
        ) from None
