"""Draw a saved table again: `reasonlens figure`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from reasonlens.cli.console import next_command, note
from reasonlens.cli.options import OutFileOrNone, Quiet, path_of


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

    Example: `reasonlens figure runs/locate-smollm2-135m-bundled/tables/curves.json --out curves.html`

    `--out` is .html, which opens offline, or an image (.png, .svg, .pdf) where kaleido is installed; by default the
    table's name with .html, in the working directory. Every table names its figure and holds its title and caption
    beside the rows, so a script may leave out rows, merge two runs or change a title, and the figure follows.
    """
    import reasonlens

    target = out or Path(f"{table.stem}.html")
    reasonlens.figure(table, out=target)
    note(f"figure: {target}")
    if target.suffix != ".html":
        next_command("figure", table, "--out", target.with_suffix(".html"))
    elif find_spec("kaleido") is not None:
        next_command("figure", table, "--out", target.with_suffix(".svg"))
    else:
        next_command("runs")
