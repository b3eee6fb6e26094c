"""Hold a set of behaviours: what each is, examples of it, and words that often go with it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ...rundir import InputError, brief, listed, looked_at

NAME = re.compile(r"\w[\w-]{0,59}")
NONE = "none"  # how an annotator says that a sentence shows no behaviour


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One behaviour that a sentence may show."""

    name: str
    definition: str  # continues "a sentence that ..."
    examples: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # tell-tale words or phrases, in lower case

    __repr__ = brief


@dataclass(frozen=True, slots=True, repr=False)
class BehaviourSet:
    """Behaviours of which a sentence shows one, or none; parts that do not fit raise InputError."""

    name: str
    source: str  # where the set comes from
    behaviours: tuple[Behaviour, ...]

    def __post_init__(self) -> None:
        if not self.behaviours:
            raise InputError(f"the behaviour set {self.name!r} names no behaviour; give at least one")
        names: dict[str, str] = {}
        for behaviour in self.behaviours:
            if not NAME.fullmatch(behaviour.name):
                raise InputError(
                    f"{behaviour.name!r:.80} is no name of a behaviour: letters, digits, - and _, at most 60; "
                    "write it like subgoal-setting"
                )
            if _plain(behaviour.name) == NONE:
                raise InputError(f"{behaviour.name!r} says that a sentence shows no behaviour: give it another name")
            if (other := names.get(_plain(behaviour.name))) is not None:
                raise InputError(f"the behaviours {other!r} and {behaviour.name!r} would be mistaken for one another")
            names[_plain(behaviour.name)] = behaviour.name
            if not behaviour.definition.strip():
                raise InputError(f"the behaviour {behaviour.name!r} has no definition; say what a sentence of it does")

    @property
    def names(self) -> tuple[str, ...]:
        """The behaviours' names, in the order of the set."""
        return tuple(behaviour.name for behaviour in self.behaviours)

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """The tell-tale words of each behaviour; empty where it has none."""
        return {behaviour.name: behaviour.words for behaviour in self.behaviours}

    def named(self, text: str) -> str | None:
        """Find the behaviour that a text names, in upper or lower case, with `_` or spaces for `-`.

        Args:
            text: What may be a name, such as "Subgoal setting".

        Returns:
            The name as the set has it; None where it has no such behaviour.
        """
        plain = _plain(text.strip())
        return next((name for name in self.names if _plain(name) == plain), None)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, for the settings of a run."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of the content."""
        return hashlib.sha256(json.dumps(self.to_dict()).encode()).hexdigest()[:8]

    def __iter__(self) -> Iterator[Behaviour]:
        """Iterate over the behaviours."""
        return iter(self.behaviours)

    def __len__(self) -> int:
        """Count the behaviours."""
        return len(self.behaviours)

    @looked_at(".names, .words, .behaviours")
    def __repr__(self) -> str:
        return f"BehaviourSet({self.name!r:.60}, {listed(self.names, 10)}; {self.source:.120})"


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.casefold())
