"""What was done at every token of a response: a compact table, and the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...models import LanguageModel
from ...rundir import InputError, brief

DECIMALS = 4  # of log probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRecord:
    """One response; lists hold one entry a token."""

    text: str
    tokens: tuple[int, ...]
    base: tuple[int, ...]  # what the base model alone would have said here
    thinking: tuple[int, ...]  # what the thinking model would have; the base's where none ran
    base_likeliest: tuple[int, ...]  # the base's likeliest token here; greedily what it would have said
    thinking_likeliest: tuple[int, ...]  # the thinking model's; -1 where none ran
    gated: tuple[bool, ...]
    behaviour: tuple[int, ...]  # -1 where nothing was steered
    strength: tuple[float, ...]
    # KL(steered base || base) of the next token, nats (of a forced one, of what the base may write from all it would);
    # 0 where nothing was steered, or a token was taken over. Rounding depends on the batch, so records of the same
    # response are equal without it and what follows.
    kl_nats: tuple[float, ...] = field(compare=False)
    # How likely either model held the token that was said (natural logarithm; None where no thinking model ran).
    base_logprob: tuple[float, ...] = field(compare=False)
    thinking_logprob: tuple[float | None, ...] = field(compare=False)
    is_truncated: bool

    __repr__ = brief

    @property
    def n_tokens(self) -> int:
        return len(self.tokens)

    @property
    def n_gated(self) -> int:
        """Tokens at which the gate was open."""
        return sum(self.gated)

    @property
    def n_changed(self) -> int:
        """Tokens that are others than the base model's."""
        return sum(token != own for token, own in zip(self.tokens, self.base, strict=True))

    @property
    def effective(self) -> tuple[bool, ...]:
        """At which tokens the gate was open with a strength, or the thinking model's token was taken."""
        columns = zip(self.gated, self.strength, self.behaviour, strict=True)
        return tuple(is_gated and (strength != 0 or behaviour < 0) for is_gated, strength, behaviour in columns)

    @property
    def n_effective(self) -> int:
        """How many these are."""
        return sum(self.effective)

    def to_frame(self) -> pd.DataFrame:
        """One row a token."""
        columns = [field.name for field in fields(self) if field.name not in ("text", "is_truncated")]
        return pd.DataFrame({name: list(getattr(self, name)) for name in columns})


class Log:
    """What is done, as it is done: tensors, looked at when all rows have ended."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        # (7, rows): token, base's, thinking's, likeliest of both, gated, behaviour
        self._numbers: list[Tensor] = []
        self._amounts: list[Tensor] = []  # (4, rows): strength, KL, log probabilities

    def add(
        self,
        rows: Sequence[int],
        *,
        tokens: Int[Tensor, " rows"],
        base: Int[Tensor, " rows"],
        thinking: Int[Tensor, " rows"],
        base_likeliest: Int[Tensor, " rows"],
        thinking_likeliest: Int[Tensor, " rows"],
        gated: Bool[Tensor, " rows"],
        behaviour: Int[Tensor, " rows"],
        strength: Float[Tensor, " rows"],
        kl_nats: Float[Tensor, " rows"],
        base_logits: Float[Tensor, "rows vocabulary"],
        thinking_logits: Float[Tensor, "rows vocabulary"] | None,
    ) -> None:
        """One token of some rows."""
        own = _log_probability(base_logits, tokens)
        led = torch.full_like(own, torch.nan) if thinking_logits is None else _log_probability(thinking_logits, tokens)
        self._rows.extend(rows)
        numbers = [tokens, base, thinking, base_likeliest, thinking_likeliest, gated.to(tokens.dtype), behaviour]
        self._numbers.append(torch.stack(numbers))
        self._amounts.append(torch.stack([strength.to(own.dtype), kl_nats.to(own.dtype), own, led]))

    def records(self, n_rows: int, model: LanguageModel, stops: set[int]) -> list[RowRecord]:
        """Of each row, in order.

        Raises InputError if a token was steered with a strength that is no number. On a GPU it is seen only here: to
        look at each token, the host would wait.
        """
        if not self._rows:
            return [_record([[]] * 7, [[]] * 4, model, stops) for _ in range(n_rows)]
        order = torch.tensor(self._rows).sort(stable=True)
        sizes = order.values.bincount(minlength=n_rows).tolist()
        numbers = torch.cat(self._numbers, dim=1).cpu()[:, order.indices]
        amounts = torch.cat(self._amounts, dim=1).cpu()[:, order.indices]
        _check(numbers[-1], amounts[0])
        by_row = zip(torch.split(numbers, sizes, dim=1), torch.split(amounts, sizes, dim=1), strict=True)
        return [_record(some.tolist(), other.tolist(), model, stops) for some, other in by_row]


def _check(behaviour: Int[Tensor, " tokens"], strength: Float[Tensor, " tokens"]) -> None:
    bad = sorted(set(behaviour[~strength.isfinite()].tolist()))
    if bad:
        raise InputError(
            f"the strength towards behaviour {', '.join(map(str, bad))} is no finite number, or there is none: "
            "responses steered with it are worth nothing. Give a strength for each behaviour of the mechanism."
        )


def _log_probability(logits: Float[Tensor, "rows vocabulary"], tokens: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    return logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(dim=-1)


def _record(numbers: list[list[int]], amounts: list[list[float]], model: LanguageModel, stops: set[int]) -> RowRecord:
    tokens, base, thinking, base_likeliest, thinking_likeliest, gated, behaviour = numbers
    strength, kl_nats, own, led = amounts
    text_tokens = [token for token in tokens if token not in stops]
    return RowRecord(
        text=str(model.tokenizer.decode(text_tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)),
        tokens=tuple(tokens),
        base=tuple(base),
        thinking=tuple(thinking),
        base_likeliest=tuple(base_likeliest),
        thinking_likeliest=tuple(thinking_likeliest),
        gated=tuple(map(bool, gated)),
        behaviour=tuple(behaviour),
        strength=tuple(strength),
        kl_nats=tuple(round(nats, DECIMALS) for nats in kl_nats),
        base_logprob=tuple(round(logprob, DECIMALS) for logprob in own),
        thinking_logprob=tuple(None if logprob != logprob else round(logprob, DECIMALS) for logprob in led),
        is_truncated=not tokens or tokens[-1] not in stops,
    )
