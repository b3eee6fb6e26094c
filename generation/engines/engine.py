"""Define an engine: what writes responses to prompts, one sample at a time as far as anybody can see.

    Request     one sample: a prompt, and the number that its random numbers go by
    Manner      how all samples are drawn
    Engine      names what decides a model's texts, and opens the model as a Writer
    Writer      writes the requests that have no response yet and hands each response on as soon as it is there

A sample depends on its own number, the seed and the manner, and neither on the batch nor on which other samples there
are. A new engine is one value of the type `Engine`, listed in `registry.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ...rundir import brief
from ...traces import Template
from ..sampling import Sampling


@dataclass(frozen=True, slots=True)
class Request:
    """One sample that is to be written."""

    number: int  # of its own, 0 to 2**63 - 1: random numbers go by it
    prompt: str

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What was written."""

    text: str  # begins with the tag of thoughts where the prompt ended in it
    n_tokens: int | None  # that were emitted, the end's among them; None: the engine does not say
    is_truncated: bool  # cut off at the limit, with no end of its own
    writer: str | None = None  # the model, as an endpoint names it; None: the one that was asked for

    __repr__ = brief


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How samples are drawn."""

    sampling: Sampling
    seed: int = 0
    template: Template = "auto"
    system: str = ""  # what the system is told before each prompt
    stop: tuple[str, ...] = ()  # texts that end a response; they are cut off

    __repr__ = brief


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and how an engine runs; it does not change what is drawn."""

    device: str | None = None  # for a model given by name; None: CUDA where there is one
    n_rows: int = 128  # prompts that are run together
    endpoint: Any = None  # an `Endpoint`, for engines that ask one
    options: Mapping[str, Any] = field(default_factory=dict)  # further ones, by their names in the engine's own library

    __repr__ = brief


# Takes the response to the request of a number.
Keep = Callable[[int, Response], None]


class Writer(Protocol):
    """A model that is ready to write."""

    def write(self, requests: Sequence[Request], manner: Manner, done: Collection[int], keep: Keep) -> Counter[str]:
        """Write a response to each request that has none yet.

        Args:
            requests: All samples, those with a response among them: an engine may run them in the same batches again.
            manner: How they are drawn.
            done: Numbers of the requests that have a response; it grows as `keep` is called.
            keep: Takes each response as soon as it is there, perhaps in another thread.

        Returns:
            What went wrong, and how often; samples that failed have no response.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One way to run a model."""

    identify: Callable[[Any, Place], str]  # of what names or holds a model: what decides its texts
    open: Callable[[Any, Place], Writer]

    __repr__ = brief


def cut(text: str, stop: Sequence[str]) -> str:
    """Cut a text off before the first of some texts that end it."""
    places = [place for end in stop if (place := text.find(end)) >= 0]
    return text[: min(places)] if places else text


def sample_seed(seed: int, number: int) -> int:
    """Draw the seed of one sample, for engines that take a seed a request.

    Args:
        seed: Of all samples.
        number: Of the sample.

    Returns:
        31 bits, which all engines take.
    """
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
