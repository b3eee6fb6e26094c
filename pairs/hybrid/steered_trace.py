"""One response of a hybrid, token by token: what was done, and what each model would have written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all
from ...figures.steered import steered_fragment
from ...figures.token_view import TokenChannel, TokenView, ViewedTrace
from ...models import LanguageModel
from ...rundir import InputError, expanded, from_row, looked_at, restoring, to_row, write_text
from ...rundir.result_files import check_format, write_result
from .record import RowRecord

FORMAT = "reasonlens.steered-trace/3"


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeredTrace:
    """A response that shows itself coloured in notebooks; `to_frame` is the table, `to_html` a page of its own."""

    question: str
    arm: str
    is_right: bool | None  # None: cannot be told
    record: RowRecord
    behaviours: tuple[str, ...]
    pieces: tuple[str, ...]  # the text of each token; half a character goes with the token that ends it
    base: tuple[str, ...]  # of the token that the base model alone would have written
    thinking: tuple[str, ...]  # of that of the thinking model; the base's where none ran

    @classmethod
    def of(
        cls,
        model: LanguageModel,
        record: RowRecord,
        *,
        question: str = "",
        arm: str = "hybrid",
        is_right: bool | None = False,
        behaviours: Sequence[str] = (),
    ) -> SteeredTrace:
        """Write out what `decode` gave.

        Args:
            model: The base, whose tokens the record counts.
            record: Of the response.
            question: What was asked.
            arm: That wrote it.
            is_right: Whether the response is right; None where it cannot be told.
            behaviours: By their numbers in the record.
        """
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
        """Name the behaviour that a token was steered towards; empty where it was not."""
        number = self.record.behaviour[place]
        return "" if number < 0 else self.behaviours[number] if number < len(self.behaviours) else str(number)

    def colour_order(self) -> list[str]:
        """Name the behaviours in the order of their colours; one without a name by its number."""
        n = max([*(number + 1 for number in self.record.behaviour), len(self.behaviours)])
        return [*self.behaviours, *map(str, range(len(self.behaviours), n))]

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row a token: its text, those of either model, gated, behaviour, strength, log probabilities."""
        frame = self.record.to_frame().drop(
            columns=["tokens", "base", "thinking", "base_likeliest", "thinking_likeliest", "behaviour"]
        )
        frame.insert(0, "token", list(self.pieces))
        frame.insert(1, "base_token", list(self.base))
        frame.insert(2, "thinking_token", list(self.thinking))
        frame.insert(4, "behaviour", [self.behaviour(place) for place in range(self.record.n_tokens)])
        frame["is_changed"] = [token != base for token, base in zip(self.record.tokens, self.record.base, strict=True)]
        return frame

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate the figure; none for a response without a token."""
        if not self.record.n_tokens:
            return {}
        rows = self.to_frame().assign(position=range(self.record.n_tokens))
        rows["thinking_logprob"] = rows["thinking_logprob"].astype(float)
        options = {"title": "How likely either model held each token", "caption": self.caption()}
        return {"log_probabilities": FigureTable(figure="steered_line", rows=rows, options=options)}

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw how likely either model held each token that was written, and where it was steered.

        Raises:
            InputError: The response has no token.
        """
        if not self.record.n_tokens:
            raise InputError(f"the response of {self.arm} has no token to draw")
        return self.figures()["log_probabilities"]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"format": FORMAT, **to_row(self)}

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> SteeredTrace:
        """Read what `to_dict` returned.

        Raises:
            InputError: It is no steered trace of this version.
        """
        check_format(content, FORMAT)
        try:
            return from_row(cls, content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"this is no steered trace: {error!r}; give what `SteeredTrace.to_dict` gave") from error

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html (the coloured text).

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.to_html())

    def to_html(self, path: str | Path | None = None) -> str:
        """Make a page of its own, which opens offline; also written to `path` if there is one."""
        page = self.view().to_html()
        if path is not None:
            write_text(expanded(path), page)
        return page

    def view(self) -> TokenView:
        """Show the response token by token: who decided, the strength, how far the models' likelihoods part, damage."""
        record = self.record
        kinds = (
            "as the base alone",
            "another token than the base's, not steered",
            "steered, the base's token stayed",
            "steered, and another token came of it",
        )
        decided = [
            (1 if token != base else 0) if not is_steered else (3 if token != base else 2)
            for token, base, is_steered in zip(record.tokens, record.base, record.effective, strict=True)
        ]
        thinking = np.array([np.nan if value is None else value for value in record.thinking_logprob], dtype=float)
        base = np.array(record.base_logprob, dtype=float)
        behaviours = self.colour_order()
        steered = [1 + number if number >= 0 else 0 for number in record.behaviour]
        channels = [
            TokenChannel(measure="who decided", values=np.array(decided), categories=kinds),
            TokenChannel(measure="steered towards", values=np.array(steered), categories=("not steered", *behaviours)),
            TokenChannel(measure="strength", values=np.array(record.strength, dtype=float), unit="mean residual norms"),
            TokenChannel(measure="likelier in the thinking model", values=thinking - base, unit="nats"),
            TokenChannel(
                measure="divergence of the steered base from the base",
                values=np.array(record.kl_nats, dtype=float),
                unit="nats",
                centre=None,
            ),
        ]
        rows = zip(self.base, self.thinking, strict=True)
        notes = {
            place: f"alone the base {one!r}, the thinking model {other!r}" for place, (one, other) in enumerate(rows)
        }
        trace = ViewedTrace(
            name=self.arm, prompt=self.question, tokens=self.pieces, channels=tuple(channels), notes=notes
        )
        return TokenView(traces=(trace,), title="A steered response", caption=self.caption())

    def caption(self) -> str:
        """Say whose response this is, whether it is right, and how much of it was steered."""
        record = self.record
        head = f"{self.arm} ({grade_name(self.is_right)})"
        if not record.n_gated:
            return head
        return f"{head}, {record.n_gated} of {record.n_tokens} tokens gated, {record.n_changed} changed"

    def _repr_html_(self) -> str:
        return steered_fragment(self.to_frame(), self.colour_order(), caption=self.caption())

    @looked_at(".figure(), .to_frame()")
    def __repr__(self) -> str:
        return (
            f"SteeredTrace({self.arm}, {grade_name(self.is_right)}, {self.record.n_gated} of "
            f"{self.record.n_tokens} tokens gated)"
        )


def _pieces(model: LanguageModel, tokens: Sequence[int]) -> list[str]:
    pieces, before = [], ""
    for place in range(len(tokens)):
        text_so_far = _text(model, tokens[: place + 1])
        text = "" if text_so_far.endswith("\N{REPLACEMENT CHARACTER}") else text_so_far[len(before) :]
        before = before if not text else text_so_far
        pieces.append(text)
    return pieces


def grade_name(is_right: bool | None) -> str:
    """Name a grade: right, wrong, or unsure where it cannot be told."""
    return "unsure" if is_right is None else "right" if is_right else "wrong"


def _text(model: LanguageModel, ids: Sequence[int]) -> str:
    return str(model.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
