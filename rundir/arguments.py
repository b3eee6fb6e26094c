"""Check what a user gives as an argument, one function for each kind, before anything is computed or written.

Every door (a public function, a class of settings, a command) calls these, so that a wrong type reads the same
everywhere: one line with the argument, the value and what to give instead. Paths are checked by `places.expanded`,
layers by `activations.layers.layer_numbers`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from typing import TypeVar

from .brevity import listed, shown
from .errors import InputError
from .names import did_you_mean

Part = TypeVar("Part")
MAX_SEED = 2**32 - 1


def entry_of(entries: Mapping[str, Part], name: object, refused: str) -> Part:
    """Look up what has a name, such as a method or a format.

    Args:
        entries: Name -> entry.
        name: What was given; a value that is no text has no entry.
        refused: The beginning of the message, with `{}` for the name, such as "there is no format {}".

    Returns:
        The entry.

    Raises:
        InputError: There is no entry of this name.
    """
    if isinstance(name, str) and name in entries:
        return entries[name]
    written = repr(name[:60]) if isinstance(name, str) else shown(name)
    raise InputError(
        f"{refused.format(written)}; there are {listed(entries, 40)}.{did_you_mean(written.strip(chr(39)), entries)}"
    )


def names_of(names: object, argument: str) -> tuple[str, ...]:
    """Check a list of names.

    Args:
        names: What was given.
        argument: The argument, such as "behaviours".

    Returns:
        The names, in their order.

    Raises:
        InputError: It is one text, is no list, is empty, or holds something else than texts.
    """
    if isinstance(names, str):
        remedy = f"give [{names[:60]!r}]" if names else "give None for all"
        raise InputError(f"{argument} takes a list of names, and {names[:60]!r} is one text: {remedy}")
    chosen = list(names) if isinstance(names, Iterable) and not isinstance(names, bytes) else None
    if chosen is None or not all(isinstance(name, str) for name in chosen):
        raise InputError(
            f"{argument} takes a list of names, such as ['backtracking'], and {shown(names)} is none; give None for all"
        )
    if not chosen:
        raise InputError(f"{argument} names nothing, and {shown(names)} leaves nothing to do; give None for all")
    return tuple(chosen)


def members_of(members: object, kind: type[Part], argument: str, remedy: str) -> tuple[Part, ...]:
    """Check a list whose members are of one type.

    Args:
        members: What was given.
        kind: The type of a member.
        argument: The argument, such as "questions".
        remedy: What to give instead.

    Returns:
        The members, in their order.

    Raises:
        InputError: It is no list, or a member is of another type.
    """
    listing = list(members) if isinstance(members, Iterable) and not isinstance(members, str | bytes) else None
    if listing is None:
        raise InputError(f"{argument} takes a list of {kind.__name__}, and {shown(members)} is none; {remedy}")
    for member in listing:
        if not isinstance(member, kind):
            raise InputError(f"{argument} takes a list of {kind.__name__}, and {shown(member)} is none; {remedy}")
    return tuple(listing)


def settings_of(settings: object, kind: type[Part]) -> Part:
    """Check settings.

    Args:
        settings: What was given; None means the defaults.
        kind: The class of the settings.

    Returns:
        The settings.

    Raises:
        InputError: They are of another class: a dictionary, say.
    """
    if settings is None:
        return kind()
    if isinstance(settings, kind):
        return settings
    name = kind.__name__
    raise InputError(
        f"settings takes a reasonlens.{name}, and {shown(settings)} is none; give {name}(seed=1), or {name}(**values) "
        "for a dictionary of values"
    )


def whole_number(number: object, argument: str, least: int = 1, most: int | None = None) -> int:
    """Check a whole number: a count, or a seed.

    Args:
        number: What was given.
        argument: The argument, such as "n_bootstrap".
        least: The least that is accepted.
        most: The most that is accepted; None: any.

    Returns:
        The number.

    Raises:
        InputError: It is no whole number (True and 1.0 are not either), or out of range.
    """
    try:
        value = None if isinstance(number, bool) else operator.index(number)  # type: ignore[arg-type]
    except TypeError:
        value = None
    if value is None or value < least or (most is not None and value > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"{argument} takes a whole number {limits}, such as {max(least, 5)}, and not {shown(number)}")
    return value


def seed_of(seed: object) -> int:
    """Check a seed.

    Args:
        seed: What was given.

    Returns:
        The seed.

    Raises:
        InputError: It is no whole number from 0 to 4294967295.
    """
    return whole_number(seed, "seed", 0, MAX_SEED)


def number_between(number: object, argument: str, low: float, high: float) -> float:
    """Check a number of any numeric type.

    Args:
        number: What was given.
        argument: The argument, such as "penalties".
        low: The least that is accepted.
        high: The greatest that is accepted.

    Returns:
        The number.

    Raises:
        InputError: It is no number, not finite, or out of range.
    """
    try:
        value = math.nan if isinstance(number, str | bytes | bool) else float(number)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        value = math.nan
    if not low <= value <= high or not math.isfinite(value):
        raise InputError(f"{argument} takes a number from {low:g} to {high:g}, and not {shown(number)}")
    return value


def truth_of(value: object, argument: str) -> bool:
    """Check a switch: 'no' is a text, and would count as true.

    Args:
        value: What was given.
        argument: The argument, such as "absolute".

    Returns:
        True or False.

    Raises:
        InputError: It is neither.
    """
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise InputError(f"{argument} takes True or False, and not {shown(value)}")


def text_of(text: object, argument: str) -> str:
    """Check a text.

    Args:
        text: What was given.
        argument: The argument, such as "prompt".

    Returns:
        The text.

    Raises:
        InputError: It is something else, such as None or bytes.
    """
    if isinstance(text, str):
        return text
    raise InputError(f"{argument} takes a text, and not {shown(text)}; give a str")
