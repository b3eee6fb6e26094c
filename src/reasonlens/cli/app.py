"""Gather the commands into one. Results go to stdout, everything else to stderr.

Heavy imports stand inside the commands, so that `reasonlens --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from reasonlens.cli.calibrate import calibrate
from reasonlens.cli.collect import collect
from reasonlens.cli.compare import compare
from reasonlens.cli.console import notes_on_stderr, say
from reasonlens.cli.decisions import decisions
from reasonlens.cli.directions import directions
from reasonlens.cli.doctor import doctor
from reasonlens.cli.door import Door
from reasonlens.cli.dynamics import dynamics
from reasonlens.cli.elicit import elicit
from reasonlens.cli.exchange import exchange
from reasonlens.cli.export import convert, export, import_
from reasonlens.cli.figure import figure
from reasonlens.cli.geometry import geometry
from reasonlens.cli.hybrid import hybrid
from reasonlens.cli.label import label
from reasonlens.cli.label_review import label_review
from reasonlens.cli.likelihood import likelihood
from reasonlens.cli.locate import locate
from reasonlens.cli.options import Quiet
from reasonlens.cli.organisms import organisms
from reasonlens.cli.passk import passk
from reasonlens.cli.probe import probe
from reasonlens.cli.profile import profile
from reasonlens.cli.regrade import regrade
from reasonlens.cli.runs import runs
from reasonlens.cli.sample import sample
from reasonlens.cli.score import score
from reasonlens.cli.stability import stability
from reasonlens.cli.steer import steer
from reasonlens.cli.traces import traces
from reasonlens.cli.train_vectors import train_vectors
from reasonlens.cli.verdict import verdict

app = typer.Typer(name="reasonlens", cls=Door, pretty_exceptions_enable=False, rich_markup_mode="markdown")


def _print_version(requested: bool) -> None:
    if requested:
        say(f"reasonlens {version('reasonlens')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Locate reasoning directions in language models and test what they do."""
    if not quiet:
        context.with_resource(notes_on_stderr())


TRACES, MODEL, PAIR, TOOLS = "Traces", "One model", "A base and a thinking model", "Files, runs and other tools"
COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    TRACES: (sample, label, label_review),  # the last is also called by `label review`
    MODEL: (locate, collect, probe, score, stability, directions),
    PAIR: (
        *(verdict, exchange, calibrate, hybrid, passk, likelihood, profile),
        *(decisions, geometry, dynamics, elicit, train_vectors, regrade),
    ),
    TOOLS: (export, convert, figure, runs, compare, doctor),
}

for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.command("import", rich_help_panel=TOOLS)(import_)
app.add_typer(traces, name="traces", rich_help_panel=TRACES)
app.add_typer(steer, name="steer", rich_help_panel=MODEL)
app.add_typer(organisms, name="organisms", rich_help_panel=PAIR)
