"""Hold the scores of probes on new text: the log odds of each behaviour at every token, and for every sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float

from ..figures import FigureTable, draw_all
from ..figures.token_view import TokenChannel, TokenView, ViewedTrace, bands_of
from ..figures.tokens import Scale, tokens_fragment
from ..rundir import listed, looked_at, restoring, write_csv, write_text
from ..rundir.result_files import check_format, write_result
from .scored_text import ScoredText

FORMAT = "reasonlens.scores/1"
N_SHOWN = 10  # texts in the cell of a notebook, and in the figure


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenScores:
    """Scores of probes on texts, token by token; shown in a notebook as coloured text."""

    texts: tuple[ScoredText, ...]
    layers: dict[str, int]  # behaviour -> the layer at which it is read
    priors: dict[str, float | None]  # log odds of the behaviour among training spans; None if unknown
    model: dict[str, Any]  # the identity of the model that read the texts
    read: str  # which tokens of a sentence the probes were trained on
    method: str
    are_log_odds: bool = True  # else `log_odds` everywhere are scores without a unit, and there is no probability

    @property
    def behaviours(self) -> tuple[str, ...]:
        return tuple(self.layers)

    def to_frame(self) -> pd.DataFrame:
        """Tabulate a row for each behaviour and token.

        text (the trace's id), position (of the token in the response), token, start, end, behaviour, layer, log_odds,
        probability; the last two are NaN for tokens without a score, and the last where `are_log_odds` is False.
        """
        parts = []
        for text in self.texts:
            starts, ends = text.characters.T
            tokens = [text.trace.text[start:end] for start, end in text.characters.tolist()]
            for index, behaviour in enumerate(self.behaviours):
                columns: dict[str, Any] = {"text": text.trace.id, "position": np.arange(len(tokens)), "token": tokens}
                columns |= {"start": starts, "end": ends} | self._of(behaviour, text.log_odds[index])
                parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    @property
    def sentences(self) -> pd.DataFrame:
        """A row for each behaviour and sentence, scored over the same read that the probe was trained on.

        text, sentence, label (of the trace's own span, else empty), start, end, behaviour, layer, log_odds,
        probability.
        """
        parts = []
        for text in self.texts:
            spans = text.sentences
            columns: dict[str, Any] = {
                "text": [text.trace.id] * len(spans),
                "sentence": [text.trace.text_of(span) for span in spans],
                "label": [span.label for span in spans],
                "start": [span.start for span in spans],
                "end": [span.end for span in spans],
            }
            for index, behaviour in enumerate(self.behaviours):
                parts.append(pd.DataFrame(columns | self._of(behaviour, text.sentence_log_odds[index])))
        return pd.concat(parts, ignore_index=True)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate the figure: the first texts as strips of tokens, coloured by distance from the prior."""
        parts = []
        for number, text in enumerate(self.texts[:N_SHOWN]):
            tokens = [text.trace.text[start:end] for start, end in text.characters.tolist()]
            for behaviour, scores in zip(self.behaviours, text.log_odds, strict=True):
                columns: dict[str, Any] = {"number": number, "text": text.trace.id, "behaviour": behaviour}
                columns |= {"position": np.arange(len(tokens)), "token": tokens, "value": scores}
                parts.append(pd.DataFrame(columns | {"distance": scores - (self.priors[behaviour] or 0.0)}))
        n_left = len(self.texts) - N_SHOWN
        options = {
            "title": f"{self._names()}, token by token",
            "caption": self._source() + (f"; {_count(n_left, 'text')} more not drawn" if n_left > 0 else ""),
            "measure": "log odds above\nany span's" if self.are_log_odds else "score",
        }
        return {"tokens": FigureTable(figure="token_strip", rows=pd.concat(parts, ignore_index=True), options=options)}

    def figures(self) -> dict[str, go.Figure]:
        """Draw the figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the first texts as strips: a row for each behaviour, a cell for each token."""
        return self.figures()["tokens"]

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON: provenance, then the columns of each text; None for a missing score."""
        return {
            "format": FORMAT,
            "model": self.model,
            "read": self.read,
            "method": self.method,
            "are_log_odds": self.are_log_odds,
            "behaviours": {
                name: {"layer": layer, "prior_log_odds": self.priors[name]} for name, layer in self.layers.items()
            },
            "texts": [text.to_dict(self.behaviours) for text in self.texts],
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> TokenScores:
        """Build a result from plain values: the inverse of `to_dict`.

        Args:
            content: What `to_dict` returned, or the same as read from results.json.

        Returns:
            The scores.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        behaviours = content["behaviours"]
        return cls(
            texts=tuple(map(ScoredText.from_dict, content["texts"])),
            layers={name: about["layer"] for name, about in behaviours.items()},
            priors={name: about["prior_log_odds"] for name, about in behaviours.items()},
            **{name: content[name] for name in ("model", "read", "method", "are_log_odds")},
        )

    def to_html(self, path: str | Path | None = None) -> str:
        """Write a page of its own, which opens offline.

        Args:
            path: The file; None writes nothing.

        Returns:
            The page, HTML.
        """
        page = self.view().to_html()
        if path is not None:
            write_text(Path(path), page)
        return page

    def view(self) -> TokenView:
        """Show every text token by token: behaviour chosen by controls, values when a token is pointed at, labels."""
        unit = "log odds" if self.are_log_odds else ""
        traces = []
        for text in self.texts:
            stretches = text.stretches()
            starts = [0, *(start for start, _, _ in stretches[1:])][: len(stretches)]
            ends = [*starts[1:], len(text.trace.text)]
            order = [token for _, _, token in stretches]
            channels = [
                TokenChannel(
                    measure="probe score",
                    behaviour=behaviour,
                    layer=layer,
                    unit=unit,
                    centre=self.priors[behaviour] or 0.0,
                    values=text.log_odds[index][order],
                )
                for index, (behaviour, layer) in enumerate(self.layers.items())
            ]
            by_sentence = np.full((len(self.layers), len(stretches)), np.nan)
            for number, span in enumerate(text.sentences):
                inside = [span.start <= start < span.end for start, _, _ in stretches]
                by_sentence[:, inside] = text.sentence_log_odds[:, number, None]
            channels += [
                replace(channel, measure="probe score of the sentence", values=values)
                for channel, values in zip(channels, by_sentence, strict=True)
            ]
            traces.append(
                ViewedTrace(
                    name=text.trace.id,
                    prompt=text.trace.prompt,
                    tokens=tuple(text.trace.text[start:end] for start, end in zip(starts, ends, strict=False)),
                    channels=tuple(channels),
                    bands=bands_of(
                        [(start, end) for start, end, _ in stretches],
                        [(span.start, span.end, span.label) for span in text.trace.spans if span.label],
                    ),
                )
            )
        caption = f"{self._source()}. {_how_to_read(self.read)}"
        return TokenView(traces=tuple(traces), title=f"{self._names()}, token by token", caption=caption)

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv and sentences.csv, tables/tokens.json, and report.html, the coloured texts.

        Args:
            directory: Created if it does not exist; files of these names are replaced.

        Raises:
            InputError: A file cannot be written.
        """
        write_csv(Path(directory) / "sentences.csv", self.sentences)
        write_result(directory, self, self.to_html())

    def _repr_html_(self) -> str:
        shown = self.texts[:N_SHOWN]
        n_left = len(self.texts) - len(shown)
        return tokens_fragment(
            [text.coloured() for text in shown],
            self._scales(shown),
            are_log_odds=self.are_log_odds,
            note=f"… and {_count(n_left, 'text')} more: to_html() shows all" if n_left else "",
        )

    @looked_at(".figure(), .to_frame()")
    def __repr__(self) -> str:
        n_tokens = sum(len(text.characters) for text in self.texts)
        return f"TokenScores({len(self.texts)} texts, {n_tokens} tokens, {listed(self.behaviours, 10)})"

    def _of(self, behaviour: str, log_odds: Float[np.ndarray, " n"]) -> dict[str, Any]:
        return {
            "behaviour": behaviour,
            "layer": self.layers[behaviour],
            "log_odds": log_odds,
            "probability": probability(log_odds) if self.are_log_odds else np.nan,
        }

    def _scales(self, texts: Sequence[ScoredText]) -> list[Scale]:
        """Scale the colours to the scores of some texts, behaviour by behaviour."""
        scales = []
        for index, (behaviour, layer) in enumerate(self.layers.items()):
            centre = self.priors[behaviour] or 0.0
            scales.append(
                Scale(
                    behaviour=behaviour,
                    layer=layer,
                    prior=self.priors[behaviour],
                    tokens=_usual_distance([text.log_odds[index] for text in texts], centre),
                    sentences=_usual_distance([text.sentence_log_odds[index] for text in texts], centre),
                )
            )
        return scales

    def _names(self) -> str:
        return ", ".join(self.behaviours) if len(self.behaviours) < 4 else f"{len(self.behaviours)} behaviours"

    def _source(self) -> str:
        n_tokens = sum(len(text.characters) for text in self.texts)
        return (
            f"{_count(len(self.texts), 'text')}, {n_tokens} tokens, read by {self.model.get('name', 'a model')}; "
            f"{self.method}, trained on the read {self.read}"
        )


def probability(log_odds: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Compute 1 / (1 + exp(-x)) without overflow."""
    probabilities: np.ndarray[Any, np.dtype[np.float64]] = 0.5 * (1 + np.tanh(0.5 * log_odds))
    return probabilities


def _usual_distance(scores: Sequence[Float[np.ndarray, " n"]], centre: float) -> float:
    """Compute the distance from the centre that covers 95% of the scores, rounded up to halves; 1 without scores."""
    distance = np.abs(np.concatenate([part[~np.isnan(part)] for part in scores]) - centre)
    return max(0.5, math.ceil(2 * float(np.quantile(distance, 0.95))) / 2) if len(distance) else 1.0


def _how_to_read(read: str) -> str:
    if read.startswith("before"):
        return "A token's score speaks of what comes after it, a sentence's of the sentence itself."
    if read in ("last", "first"):
        return f"Of each sentence only the {read} token was read in training; scores elsewhere are extrapolations."
    return (
        "The probes were trained on means over sentences, and a single token is a noisy case for them; the score of a "
        "sentence is what the figures of the training speak of."
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
