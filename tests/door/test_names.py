"""A command and the Python function that does its work are called the same."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

import reasonlens
from reasonlens.cli.app import app


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk through the commands of a group and of the groups in it, each with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


def python_name(words: tuple[str, ...]) -> str:
    """Join a command's words as Python takes them: `steer write` is `steer_write`, `import` is `import_`."""
    name = "_".join(words).replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


COMMANDS = dict(commands(typer.main.get_group(app)))


def test_there_are_commands_of_one_and_of_two_words() -> None:
    assert {("locate",), ("import",), ("steer", "write"), ("organisms", "train")} <= COMMANDS.keys()
    assert python_name(("import",)) == "import_" and python_name(("steer", "two-words")) == "steer_two_words"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_calls_the_function_of_its_name(words: tuple[str, ...]) -> None:
    name = python_name(words)
    assert name in reasonlens.__all__ and inspect.isfunction(getattr(reasonlens, name))
    body = inspect.getsource(inspect.unwrap(COMMANDS[words].callback)).partition("->")[2]
    assert re.search(rf"\breasonlens\.{name}\(", body), f"`reasonlens {' '.join(words)}` does not call {name}"
