"""Give every command the same exit codes, and errors in one line.

    exit 0      done
    exit 2      a mistake of the user (an option, or an `InputError` of the library), or a file or disk that cannot be
                used (full, read-only, no permission), told in one line
    exit 130    stopped by an interrupt
    exit 1      whatever read stdout is gone; nothing is said. Or `traces check` has found something to mend

Any other error is a mistake of reasonlens and keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup  # whose contexts are of a type that typer keeps to itself

NOTHING_KEPT = "nothing of it was kept"


class Group(TyperGroup):
    """A group of commands that prints its help where no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse options before the command; no arguments at all ask for help."""
        return super().parse_args(ctx, args or ["--help"])


class Door(Group):
    """The group of all commands: the command line itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse options before the command; no arguments at all ask for the pipeline."""
        if not args and not ctx.resilient_parsing:  # completion parses, and prints words only
            from reasonlens.cli.pipeline import show_pipeline

            show_pipeline()
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; `label review` is called `label-review`, since what follows `label` is a file."""
        joined = "-".join(args[:2])
        return super().resolve_command(ctx, [joined, *args[2:]] if joined in self.commands else args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; a user's mistake becomes one line on stderr and exit code 2."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            _say(f"stopped; {(getattr(error, '__notes__', None) or [NOTHING_KEPT])[-1]}")
            raise typer.Exit(130) from None
        except ValueError as error:
            from reasonlens.rundir import InputError

            if not isinstance(error, InputError):
                raise
            _say(str(error))
            raise typer.Exit(2) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; unknown options, and files and disks that fail, become one line and exit code 2."""
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except typer.TyperException as error:
            if not standalone_mode:
                raise
            context = getattr(error, "ctx", None)
            path = context.command_path if context else "reasonlens"
            message = error.format_message().replace("Value error, ", "").rstrip(".")
            _say(f"{message}; see `{path} --help`")
            code = error.exit_code
        except Exception as error:
            from reasonlens.rundir import refusal

            refused = refusal(error)
            if refused is None or not standalone_mode:
                raise
            _say(refused)
            code = 2
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def _say(message: str) -> None:
    from reasonlens.cli.console import visible

    typer.echo(visible(f"reasonlens: {' '.join(message.split())}"), err=True)
