"""The one error that means "what you gave cannot be used"; the command line turns it into one line and exit code 2."""

from __future__ import annotations


class InputError(ValueError):
    """A mistake in what the user gave. The message says what was wrong, the value, and what to do."""
