"""List runs with what they found: `reasonlens runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasonlens.cli.console import next_command, note, print_json, print_table
from reasonlens.cli.options import Json, Quiet, path_of


def runs(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIRECTORY", help="Where to look, at any depth.", parser=path_of),
    ] = Path("runs"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the runs below a directory with what they found, those that changed last first."""
    import reasonlens

    listing = reasonlens.runs(directory)
    if as_json:
        print_json({"directory": str(directory), "runs": listing.to_frame().to_dict("records")})
        return
    if not len(listing):
        note(f"no runs below {directory}")
        next_command("locate")
        return
    print_table(
        ("run", "command", "state", "changed", "found"),
        [(run.path, run.command, run.state, run.changed, run.headline or run.model) for run in listing.runs],
    )
    done = [run for run in listing.runs if run.state in ("done", "written")]
    alike = next(
        ((one, other) for one in done for other in done if one is not other and one.command == other.command), None
    )
    if alike is not None:
        next_command("compare", directory / alike[0].path, directory / alike[1].path)
    else:
        next_command("verdict", "--budget", "10m")
