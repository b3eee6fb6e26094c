"""One response of a hybrid, token by token: what was done, and what each model would have said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ...figures.steered import steered_fragment, steered_page
from ...models import LanguageModel
from ...rundir import write_text
from .record import RowRecord


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeredTrace:
    """Shows itself coloured in notebooks; `to_frame` is the table, `to_html` a page of its own."""

    question: str
    arm: str
    is_right: bool
    record: RowRecord
    behaviours: tuple[str, ...]
    pieces: tuple[str, ...]  # the text of each token; half a character goes with the token that ends it
    base: tuple[str, ...]  # of the token that the base model alone would have said
    thinking: tuple[str, ...]  # of that of the thinking model; the base's where none ran

    @classmethod
    def of(
        cls,
        model: LanguageModel,
        record: RowRecord,
        *,
        question: str = "",
        arm: str = "hybrid",
        is_right: bool = False,
        behaviours: Sequence[str] = (),
    ) -> SteeredTrace:
        """Of what `decode` gave; `model`: the base."""
        names = {token: _text(model, [token]) for token in {*record.base, *record.thinking}}
        return cls(
            question=question,
            arm=arm,
            is_right=is_right,
            record=record,
            behaviours=tuple(behaviours),
            pieces=tuple(_pieces(model, record.tokens)),
            base=tuple(names[token] for token in record.base),
            thinking=tuple(names[token] for token in record.thinking),
        )

    def behaviour(self, place: int) -> str:
        """That the token was steered towards; "" where it was not."""
        number = self.record.behaviour[place]
        return "" if number < 0 else self.behaviours[number] if number < len(self.behaviours) else str(number)

    def to_frame(self) -> pd.DataFrame:
        """One row a token: its text, what either model would say, gated, behaviour, strength, log probabilities."""
        frame = self.record.to_frame().drop(columns=["tokens", "base", "thinking", "behaviour"])
        frame.insert(0, "token", list(self.pieces))
        frame.insert(1, "base_token", list(self.base))
        frame.insert(2, "thinking_token", list(self.thinking))
        frame.insert(4, "behaviour", [self.behaviour(place) for place in range(self.record.n_tokens)])
        return frame

    def figure_table(self) -> pd.DataFrame:
        """Tabulate what the coloured text shows (see `figures.steered`)."""
        is_changed = [token != base for token, base in zip(self.record.tokens, self.record.base, strict=True)]
        return self.to_frame().assign(is_changed=is_changed)

    def colour_order(self) -> list[str]:
        """Name the behaviours in the order of their colours; one without a name by its number."""
        n = max([*(number + 1 for number in self.record.behaviour), len(self.behaviours)])
        return [*self.behaviours, *map(str, range(len(self.behaviours), n))]

    def to_html(self, path: str | Path | None = None) -> str:
        """A page of its own, which opens offline; also written to `path` if there is one."""
        page = steered_page(self.figure_table(), self.colour_order(), question=self.question, caption=self._caption())
        if path is not None:
            write_text(Path(path), page)
        return page

    def _repr_html_(self) -> str:
        return steered_fragment(self.figure_table(), self.colour_order(), caption=self._caption())

    def _caption(self) -> str:
        record = self.record
        head = f"{self.arm} ({'right' if self.is_right else 'wrong'})"
        if not record.n_gated:
            return head
        return f"{head}, {record.n_gated} of {record.n_tokens} tokens gated, {record.n_changed} changed"

    def __repr__(self) -> str:
        return (
            f"SteeredTrace({self.arm}, {'right' if self.is_right else 'wrong'}, {self.record.n_gated} of "
            f"{self.record.n_tokens} tokens gated)"
        )


def _pieces(model: LanguageModel, tokens: Sequence[int]) -> list[str]:
    pieces, before = [], ""
    for place in range(len(tokens)):
        whole = _text(model, tokens[: place + 1])
        text = "" if whole.endswith("\N{REPLACEMENT CHARACTER}") else whole[len(before) :]
        before = before if not text else whole
        pieces.append(text)
    return pieces


def _text(model: LanguageModel, ids: Sequence[int]) -> str:
    return str(model.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
