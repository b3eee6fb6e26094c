"""The type of an arm: one way to get more out of a base, from what it needs to how it answers and what it cost.

A new arm is one `ElicitArm` listed in `ARMS` (`arms.py`). Preparing it may take long (search, training) and is done
once; it then answers questions, put in whatever words, and reads texts, as the system that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from ...models import LanguageModel
from ...rundir import RunDirectory, brief
from ...traces import Trace
from ...traces.questions import Question
from ...vectors import Directions
from ..likelihood import TokenReading
from ..pair import Pair
from .cost import ResponseCost, TrainingCost
from .settings import ElicitSettings

# prompt     the base, asked in another way; the plain prompt is what all are compared with
# timing     the base's weights as they are, and vectors added or tokens chosen: what is learnt is when
# weights    weights are changed
ElicitRole = Literal["prompt", "timing", "weights"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmAnswer:
    """What an arm answers to a question."""

    text: str  # as graders read it
    is_truncated: bool  # its last call was cut off
    cost: ResponseCost

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question as it is put to an arm.

    Attributes:
        question: In the words of this wording.
        number: Random numbers go by it.
        wording: Number of the wording; 0 is the usual one.
    """

    question: Question
    number: int
    wording: int = 0

    __repr__ = brief


# Answers questions, in their order, whichever are put together.
AnswerAll = Callable[[Sequence[Query]], list[ArmAnswer]]
# Reads the responses of traces, in their order; None: as the base does.
ReadAll = Callable[[Sequence[Trace]], list[TokenReading]]


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedArm:
    """An arm that is ready to answer.

    Attributes:
        answer: Answers questions.
        read: Reads texts; None: it reads as the base does.
        training: What it learnt from, and what that cost.
        note: What was chosen on the way; empty: nothing.
    """

    answer: AnswerAll
    read: ReadAll | None = None
    training: TrainingCost = TrainingCost()
    note: str = ""

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class ElicitContext:
    """What arms are made from.

    Attributes:
        pair: Base, thinking model and problems; without a thinking model both are the base.
        has_thinking: Whether there is a thinking model.
        has_words: Whether the base can be asked in words; organisms cannot.
        settings: How much.
        directions: Of behaviours, with or without layer and strength; None: they are found.
        reward_vectors: Trained by reward, one row a block; None: none are given.
        reward_training: What these learnt from.
        run: Holds a folder of each arm under `arms/`.
        progress: Whether progress is shown.
    """

    pair: Pair
    has_thinking: bool
    has_words: bool
    settings: ElicitSettings
    directions: Directions | None
    reward_vectors: Float[Tensor, "n_layers d_model"] | None
    reward_training: TrainingCost
    run: RunDirectory
    progress: bool

    __repr__ = brief

    @property
    def base(self) -> LanguageModel:
        """The base."""
        return self.pair.base

    @property
    def source(self) -> LanguageModel:
        """The model whose responses arms learn from: the thinking model, or else the base."""
        return self.pair.thinking if self.has_thinking else self.pair.base


@dataclass(frozen=True, slots=True, kw_only=True)
class ElicitArm:
    """One way to get more out of a base.

    Attributes:
        name: Its name.
        about: Half a sentence for tables and pages.
        role: What it is.
        refusal: Says why it cannot run; empty where it can.
        prepare: Makes it ready.
        needs_thinking: Tells whether it is made of the thinking model, or of what that wrote: its training is not all.
        is_instant: Whether preparing it takes nothing, so that nothing of it is kept.
        is_metered: Whether its cost is measured as it is prepared, which is then begun anew where it was cut off.
    """

    name: str
    about: str
    role: ElicitRole
    refusal: Callable[[ElicitContext], str]
    prepare: Callable[[ElicitContext], PreparedArm]
    needs_thinking: Callable[[ElicitContext], bool] = lambda context: False
    is_instant: bool = False
    is_metered: bool = False

    __repr__ = brief

    @property
    def folder(self) -> str:
        """Name the folder of what it is made of."""
        return f"arms/{self.name}"
