"""Settings of an exchange."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ...generation import Sampling
from ...rundir import InputError, brief


@dataclass(frozen=True, kw_only=True)
class ExchangeSettings:
    """Hold how sentences are exchanged, and how much is sampled.

    Attributes:
        plans: Behaviours whose sentences say what will be done. Such a sentence is the decider's, word by word: what it
            says is the decision.
        free_tries: Sentences that the speaker writes with nothing given before it is led on by the first words of the
            decider's draft, one more each time.
        sentence_tokens: Where a sentence without an end is cut.
        sampling: Of all models; `n_samples` responses are drawn to each question.
        n_alone: Times as many responses of each model alone. They cost little, and gap and losses rest on them.
        n_test: Problems that are answered, at most.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        has_controls: Whether the behaviours are exchanged at other moments as well, and the thinking model with itself.
        seed: Of all draws.
    """

    plans: tuple[str, ...] = ("subgoal-setting",)
    free_tries: int = 2
    sentence_tokens: int = 64
    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=2, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    n_alone: int = 1
    n_test: int = 200
    n_rows: int = 250
    has_controls: bool = True
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        if self.free_tries < 0 or min(self.sentence_tokens, self.n_alone, self.n_test, self.n_rows) < 1:
            raise InputError(
                "tries are counted from 0, tokens, times, problems and rows from 1: not "
                f"{self.free_tries} tries, {self.sentence_tokens} tokens, {self.n_alone} times as many alone, "
                f"{self.n_test} problems, {self.n_rows} rows"
            )
        if self.sampling.is_greedy:
            raise InputError(
                "an exchange draws sentences, and greedily a model has but one; choose a temperature above 0"
            )

    def quicker(self) -> ExchangeSettings:
        """Return the same on half as many problems."""
        return replace(self, n_test=max(1, self.n_test // 2))
