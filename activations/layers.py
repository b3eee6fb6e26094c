"""Parse layers as they are written on a command line, and check those of a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..models.handle import whole_layer
from ..rundir import InputError, shown


def layer_numbers(layers: object) -> tuple[int, ...]:
    """Check a list of layers.

    Args:
        layers: Whole numbers of any type, in any order.

    Returns:
        The numbers as they stand; negative ones stay negative.

    Raises:
        InputError: It is no list, is empty, or a member is no whole number (True and 1.0 are not either).
    """
    if not isinstance(layers, Iterable) or isinstance(layers, str | bytes):
        remedy = "give [12]" if not isinstance(layers, int) or isinstance(layers, bool) else f"give [{layers}]"
        raise InputError(
            f"layers takes a list of whole numbers or a text such as '0,4,10:20:2', and not {shown(layers)}; {remedy}"
        )
    try:
        members = list(layers)
    except TypeError:  # a tensor of no dimension
        members = [layers]
    numbers = tuple(map(whole_layer, members))
    if not numbers:
        raise InputError(f"layers names no layer, and {shown(layers)} leaves nothing to do; give 'all', or [12]")
    return numbers


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


def choose_layers(text: str, available: Sequence[int], n_layers: int) -> tuple[int, ...]:
    """Choose among layers that there are: those of a range, or of `all`, need not all be there.

    Args:
        text: `all`, numbers, and ranges begin:end[:step], joined by commas; negative numbers count from the end.
        available: The layers to choose among.
        n_layers: Number of blocks of the model.

    Returns:
        The layers in ascending order. One that is named by itself is among them also where it is not available, for
        the caller to refuse.

    Raises:
        InputError: The text cannot be read, or no layer is left.
    """
    chosen: list[int] = []
    for part in text.split(","):
        numbers = parse_layers(part, n_layers)
        if ":" in part or part == "all":
            chosen += [number for number in numbers if number in available]
        else:
            chosen += [number + n_layers if number < 0 else number for number in numbers]
    if not chosen:
        raise InputError(f"layers {text!r} name none of those that there are: {written_layers(available)}")
    return tuple(sorted(set(chosen)))


def written_layers(layers: Sequence[int]) -> str:
    """Write layers as 0..29 where they follow each other, else one by one."""
    numbers = list(layers)
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}..{numbers[-1]}"
    return ", ".join(map(str, numbers))
