"""Gather the commands that steer a model with directions: `reasonlens steer`."""

from __future__ import annotations

import typer

from reasonlens.cli.door import Group
from reasonlens.cli.options import group_options
from reasonlens.cli.steer_find import find
from reasonlens.cli.steer_matrix import matrix
from reasonlens.cli.steer_sweep import sweep
from reasonlens.cli.steer_write import write

steer = typer.Typer(
    name="steer",
    help="Steer a model with directions: write, find layer and strength, sweep, or one model with another's.",
    cls=Group,
    rich_markup_mode="markdown",
)
steer.callback()(group_options)
for command in (write, find, sweep, matrix):
    steer.command()(command)
