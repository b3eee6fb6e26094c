"""Let a person correct labels in a browser: `reasonlens label review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasonlens.cli.console import next_command, say
from reasonlens.cli.options import Quiet, path_of


def label_review(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `reasonlens label` wrote; it is corrected.", parser=path_of)
    ],
    port: Annotated[
        int, typer.Option(help="Where the page is served on 127.0.0.1; 0: a free port.", min=0, max=65535)
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page, or print its address only.")
    ] = True,
    quiet: Quiet = False,
) -> None:
    """Read labelled traces in a browser and correct their labels by keyboard, sentences in dispute first.

    The page is served on 127.0.0.1, to the one who opens the address that is printed, once. Corrections are saved at
    once, as an annotator of their own (`person`), and the spans follow them. The page ends it, or Ctrl-C; that writes
    FILE.
    """
    import reasonlens

    n_reviewed = reasonlens.label_review(file, port=port, browser=browser)
    say(f"{file}: {n_reviewed} sentences labelled by a person")
    next_command("locate", "--traces", file)
