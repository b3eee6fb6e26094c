"""Run `python -m reasonlens.cli`, which is the same as the `reasonlens` command."""

from __future__ import annotations

from reasonlens.cli import main

main()
