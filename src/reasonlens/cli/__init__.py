"""Run the command line, one module a command: parse, settings, call, print."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `reasonlens` command."""
    from reasonlens.cli.app import app

    sys.exit(app(prog_name="reasonlens"))
