"""Parse layers as they are written on a command line."""

from __future__ import annotations

from collections.abc import Sequence

from ..rundir import InputError


def parse_layers(text: str, n_layers: int) -> Sequence[int]:
    """Parse `all`, numbers, and ranges begin:end[:step], joined by commas (`0,4,10:20:2`).

    Args:
        text: The layers as they are written.
        n_layers: How many blocks the model has.

    Returns:
        The layers in the order in which they are named; single negative numbers stay negative.

    Raises:
        InputError: The text cannot be read, or names no block.
    """
    if text == "all":
        return range(n_layers)
    chosen: list[int] = []
    try:
        for part in text.split(","):
            numbers = [int(number) if number else None for number in part.split(":")]
            if len(numbers) == 1 and numbers[0] is not None:
                chosen.append(numbers[0])
            elif len(numbers) in (2, 3):
                chosen += range(n_layers)[slice(*numbers)]
            else:
                raise ValueError(part)
    except ValueError as error:
        raise InputError(
            f"cannot read layers {text!r}: write all, or numbers and ranges such as 0,4,10:20:2"
        ) from error
    if not chosen:
        raise InputError(f"layers {text!r} name none of the {n_layers} blocks (0..{n_layers - 1})")
    return chosen
