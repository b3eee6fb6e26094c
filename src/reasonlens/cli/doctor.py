"""Say what is installed, which devices there are, and what is missing: `reasonlens doctor`."""

from __future__ import annotations

from reasonlens.cli.console import next_command, print_json, say
from reasonlens.cli.options import Json, Quiet


def doctor(as_json: Json = False, quiet: Quiet = False) -> None:
    """Say what is installed, which devices there are, and what is missing and how to get it."""
    import reasonlens

    entries_by_title = reasonlens.doctor()
    if as_json:
        print_json(entries_by_title)
    else:
        for title, entries in entries_by_title.items():
            say(title)
            for name, value in entries.items():
                say(f"  {name:24} {value}")
    next_command("locate")
