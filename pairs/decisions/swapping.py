"""Write with one model of a pair, and say the other one's token where a score exceeds a threshold.

Both read what is written, each after its own prompt. At every position the two are compared; where the row's chooser
scores above its threshold the token is the other model's, greedily its likeliest or drawn by the row's own random
number, the same that the writer's own token is drawn by. So where the models agree a swap changes nothing, swapped at
every position the other model writes, and swapped at none the writer alone. Both directions are this one loop.

One-token takeover of "decision tokens": arXiv 2605.16874; both ways: arXiv 2603.22446.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...generation import Change, Sampling, StepState, end_tokens, generate_followed
from ...generation.vocabulary import same_tokens
from ...models import LanguageModel
from ...rundir import brief
from ..pair import Pair
from ..sampling import Role
from .choosers import CHOOSERS
from .comparison import Compared, token_ranks

EVERYWHERE, NOWHERE = float("-inf"), float("inf")
COLUMNS = (
    *("js", "kl_thinking_base", "kl_base_thinking", "base_entropy"),
    *("differs", "swapped", "changed", "rank", "own_rank"),
)


@dataclass(frozen=True, slots=True)
class SwapArm:
    """Which positions are swapped."""

    chooser: str  # a name in CHOOSERS
    threshold: float  # of its score: swapped where it is above

    __repr__ = brief


ALONE, OTHER = (
    SwapArm("random", NOWHERE),
    SwapArm("random", EVERYWHERE),
)  # the writer alone; the other model at every position


@dataclass(frozen=True, eq=False, slots=True)
class SwappedText:
    """One response, position by position.

    Attributes:
        tokens: Ids, the one that ended it last.
        places: One row a token, in the order of COLUMNS: divergences and entropy in nats; whether the other model's
            token is another one than the writer's own, whether it was taken, and whether that changed the token; rank
            of the emitted token in the writer's distribution, and of its own.
        scores: One row a token, a column for each entry of CHOOSERS.
    """

    tokens: tuple[int, ...]
    places: Float[Tensor, "n_tokens n_columns"]
    scores: Float[Tensor, "n_tokens n_choosers"]

    __repr__ = brief

    def column(self, name: str) -> list[float]:
        """Give one column of `places`, an entry a token."""
        values: list[float] = self.places[:, COLUMNS.index(name)].tolist()
        return values


def models_of(pair: Pair, writer: Role) -> tuple[LanguageModel, LanguageModel]:
    """Return the model that writes and the one that reads along.

    Args:
        pair: The pair.
        writer: Which of them writes.
    """
    return (pair.base, pair.thinking) if writer == "base" else (pair.thinking, pair.base)


def swap(
    pair: Pair,
    writer: Role,
    prompts: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]],
    arms: Sequence[SwapArm],
    sampling: Sampling,
    *,
    numbers: Sequence[int],
    seed: int = 0,
    n_rows: int = 128,
) -> tuple[list[SwappedText], set[int]]:
    """Write a response to each prompt.

    Args:
        pair: The models.
        writer: Which of them writes; the other one's tokens are swapped in.
        prompts: Token ids of each prompt as base and thinking model read it.
        arms: Which positions are swapped, in the response to each prompt.
        sampling: Greedy, or temperature and nucleus, and how many tokens at most.
        numbers: Of the prompts; random numbers go by them. Equal ones draw the same, whatever their arm.
        seed: Of the random numbers.
        n_rows: Prompts that are run together; results do not depend on it.

    Returns:
        The responses, in order, and the tokens that end one.
    """
    own, other = models_of(pair, writer)
    own_prompts, other_prompts = prompts if writer == "base" else prompts[::-1]
    swapper = _Swapper(writer, arms, seed)
    responses, ends = generate_followed(
        own,
        other,
        own_prompts,
        other_prompts,
        sampling,
        seed=seed,
        n_rows=n_rows,
        numbers=numbers,
        more_ends=end_tokens(other) if same_tokens(own, other) else (),
        interventions=[swapper.intervene],
        observe=swapper.observe,
    )
    return swapper.texts(responses), ends


class _Swapper:
    """Arms at work: intervenes at each token, and logs what was compared and done."""

    def __init__(self, writer: Role, arms: Sequence[SwapArm], seed: int) -> None:
        names = list(CHOOSERS)
        self._writer, self._seed = writer, seed
        self._chooser = torch.tensor([names.index(arm.chooser) for arm in arms])
        self._threshold = torch.tensor([arm.threshold for arm in arms], dtype=torch.float64)
        self._rows: list[int] = []
        self._places: list[Tensor] = []
        self._scores: list[Tensor] = []
        # Of the token that is being chosen.
        self._swapped = self._of_scores = self._others = torch.empty(0)
        self._compared: Compared | None = None

    def intervene(self, state: StepState) -> Change | None:
        """Say the other model's token where the score of a row's chooser is above its threshold."""
        compared = Compared.at(state, self._writer)
        scores = torch.stack(
            [chooser.score(compared, self._seed).double() for chooser in CHOOSERS.values()], dim=1
        )  # (rows, choosers)
        assert state.places is not None, "the step loop says which prompt a row answers"
        places = list(state.places)
        chosen = scores.gather(1, self._chooser[places].to(scores.device)[:, None])[:, 0]
        self._swapped = chosen > self._threshold[places].to(scores.device)
        self._compared, self._of_scores, self._others = compared, scores, state.follower_chosen()
        rows = self._swapped.nonzero()[:, 0]
        return Change(rows, tokens=self._others[rows]) if len(rows) else None

    def observe(
        self, state: StepState, places: Sequence[int], tokens: Int[Tensor, " rows"], numbers: Sequence[int]
    ) -> None:
        """Log one token of each row."""
        compared, own = self._compared, state.chosen()
        assert compared is not None
        columns = (
            *(compared.js, compared.kl_thinking_base, compared.kl_base_thinking, compared.base_entropy),
            *(self._others != own, self._swapped, tokens != own),
            *(token_ranks(state.logits, tokens), token_ranks(state.logits, own)),
        )
        self._rows += places
        self._places.append(torch.stack([column.double() for column in columns], dim=1))
        self._scores.append(self._of_scores)

    def texts(self, responses: Sequence[Sequence[int]]) -> list[SwappedText]:
        """Sort what was logged into the rows."""
        if not self._rows:
            return [SwappedText((), torch.empty(0, len(COLUMNS)), torch.empty(0, len(CHOOSERS))) for _ in responses]
        order = torch.tensor(self._rows).sort(stable=True)
        sizes = order.values.bincount(minlength=len(responses)).tolist()
        places, scores = (
            torch.split(torch.cat(some)[order.indices].cpu(), sizes) for some in (self._places, self._scores)
        )
        return [SwappedText(tuple(tokens), *rest) for tokens, *rest in zip(responses, places, scores, strict=True)]
