"""What probes say of new text: the log odds of each behaviour at every token, and for every sentence.

A character that takes several tokens is shown once, with the score of its last token: only there has the model read
the whole of it. Tables keep every token.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from ..figures.tokens import tokens_fragment, tokens_page
from ..rundir import write_text
from ..traces import Span, Trace

FORMAT = "reasonlens.scores/1"
N_SHOWN = 10  # texts in the cell of a notebook


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredText:
    """One text. Tokens are those of its response; NaN where a token has no score (special tokens, attention sinks)."""

    trace: Trace
    characters: Int[np.ndarray, "n_tokens 2"]  # [start, end) of each token, in the trace's text
    log_odds: Float[np.ndarray, "n_behaviours n_tokens"]
    sentences: tuple[Span, ...]  # the trace's own spans, or its sentences, with an empty label
    sentence_log_odds: Float[np.ndarray, "n_behaviours n_sentences"]  # NaN where the read takes no token

    def stretches(self) -> list[tuple[int, int, int]]:
        """(start, end, token): characters to be shown as one, in order and disjoint, with the token that scores them.

        Tokens that share a character make one stretch; its token is the last one with a score.
        """
        found: list[tuple[int, int, int]] = []
        for token, (start, end) in enumerate(self.characters.tolist()):
            if end <= start:
                continue
            if found and start < found[-1][1]:
                before = found.pop()
                scoring = before[2] if np.isnan(self.log_odds[:, token]).all() else token
                found.append((before[0], max(before[1], end), scoring))
            else:
                found.append((start, end, token))
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenScores:
    """Probes applied to texts, token by token. In a notebook it shows itself as coloured text."""

    texts: tuple[ScoredText, ...]
    layers: dict[str, int]  # behaviour -> the layer at which it is read
    priors: dict[str, float | None]  # log odds of a training span, whatever is read; None: not known
    model: dict[str, Any]  # the identity of the model that read the texts
    read: str  # which tokens of a sentence the probes were trained on
    method: str
    are_log_odds: bool = True  # else `log_odds` everywhere are scores without a unit, and there is no probability

    @property
    def behaviours(self) -> tuple[str, ...]:
        return tuple(self.layers)

    def to_frame(self) -> pd.DataFrame:
        """A row for each behaviour and token.

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
        """A row for each behaviour and sentence: the probe on the very read of the sentence that it was trained on.

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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: provenance, then for each text its columns as lists; None where there is no score."""
        return {
            "format": FORMAT,
            "model": self.model,
            "read": self.read,
            "method": self.method,
            "are_log_odds": self.are_log_odds,
            "behaviours": {
                name: {"layer": layer, "prior_log_odds": self.priors[name]} for name, layer in self.layers.items()
            },
            "texts": [self._text(text) for text in self.texts],
        }

    def to_html(self, path: str | Path | None = None) -> str:
        """A page of its own, which opens offline; also written to `path` if there is one."""
        page = tokens_page(self)
        if path is not None:
            write_text(Path(path), page)
        return page

    def _repr_html_(self) -> str:
        return tokens_fragment(self, N_SHOWN)

    def __repr__(self) -> str:
        n_tokens = sum(len(text.characters) for text in self.texts)
        return f"TokenScores({len(self.texts)} texts, {n_tokens} tokens, {', '.join(self.behaviours)})"

    def _of(self, behaviour: str, log_odds: Float[np.ndarray, " n"]) -> dict[str, Any]:
        return {
            "behaviour": behaviour,
            "layer": self.layers[behaviour],
            "log_odds": log_odds,
            "probability": probability(log_odds) if self.are_log_odds else np.nan,
        }

    def _text(self, text: ScoredText) -> dict[str, Any]:
        return {
            "id": text.trace.id,
            "prompt": text.trace.prompt,
            "text": text.trace.text,
            "tokens": {
                "start": text.characters[:, 0].tolist(),
                "end": text.characters[:, 1].tolist(),
                "log_odds": dict(zip(self.behaviours, map(_plain, text.log_odds), strict=True)),
            },
            "sentences": {
                "start": [span.start for span in text.sentences],
                "end": [span.end for span in text.sentences],
                "label": [span.label for span in text.sentences],
                "log_odds": dict(zip(self.behaviours, map(_plain, text.sentence_log_odds), strict=True)),
            },
        }


def probability(log_odds: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """1 / (1 + exp(-x)), without overflow."""
    found: np.ndarray[Any, np.dtype[np.float64]] = 0.5 * (1 + np.tanh(0.5 * log_odds))
    return found


def _plain(numbers: Float[np.ndarray, " n"]) -> list[float | None]:
    return [None if np.isnan(number) else round(float(number), 6) for number in numbers]
