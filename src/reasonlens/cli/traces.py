"""Gather the commands on files of traces: `reasonlens traces`."""

from __future__ import annotations

import typer

from reasonlens.cli.door import Group
from reasonlens.cli.options import group_options
from reasonlens.cli.traces_check import check
from reasonlens.cli.traces_convert import convert
from reasonlens.cli.traces_show import show

traces = typer.Typer(
    name="traces",
    help="Read what other tools wrote: convert it to traces, check it before it costs anything, look at it.",
    cls=Group,
    rich_markup_mode="markdown",
)
traces.callback()(group_options)
for command in (convert, check, show):
    traces.command()(command)
