"""What was done at every token of a response: a compact table, and the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ...models import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRecord:
    """One response; lists hold one entry a token."""

    text: str
    tokens: tuple[int, ...]
    base: tuple[int, ...]  # what the base model alone would have said here
    thinking: tuple[int, ...]  # what the thinking model would have; the base's where none ran
    gated: tuple[bool, ...]
    category: tuple[int, ...]  # -1 where nothing was steered
    dose: tuple[float, ...]
    is_truncated: bool

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
        return sum(said != own for said, own in zip(self.tokens, self.base, strict=True))

    @classmethod
    def of_json(cls, row: dict[str, Any]) -> RowRecord:
        """What `asdict` gave, read back from JSON."""
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in row.items()
        }
        return cls(**given)

    def to_frame(self) -> pd.DataFrame:
        """One row a token."""
        names = ("tokens", "base", "thinking", "gated", "category", "dose")
        return pd.DataFrame({name: list(getattr(self, name)) for name in names})


@dataclass(slots=True)
class Record:
    """A response as it grows."""

    told: list[tuple[int, int, int, bool, int, float]] = field(default_factory=list)

    def add(self, token: int, base: int, thinking: int, gated: bool, category: int, dose: float) -> None:
        self.told.append((token, base, thinking, gated, category, dose))

    def done(self, model: LanguageModel, stops: set[int]) -> RowRecord:
        columns = [tuple(column) for column in zip(*self.told, strict=True)] or [()] * 6
        tokens = [token for token in columns[0] if token not in stops]
        return RowRecord(
            text=str(model.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)),
            tokens=columns[0],
            base=columns[1],
            thinking=columns[2],
            gated=columns[3],
            category=columns[4],
            dose=columns[5],
            is_truncated=not columns[0] or columns[0][-1] not in stops,
        )
