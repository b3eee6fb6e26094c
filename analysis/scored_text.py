"""Hold the scores of probes at every token and sentence of one text.

A character that takes several tokens is shown once, with the score of its last token: only there has the model read
the complete character. Tables hold every token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ..figures.tokens import ColouredText
from ..rundir import brief
from ..traces import Span, Trace


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredText:
    """One text with the scores of the tokens of its response; NaN without a score (special tokens, attention sinks)."""

    trace: Trace
    characters: Int[np.ndarray, "n_tokens 2"]  # [start, end) of each token, in the trace's text
    log_odds: Float[np.ndarray, "n_behaviours n_tokens"]
    sentences: tuple[Span, ...]  # the trace's own spans, or its sentences, with an empty label
    sentence_log_odds: Float[np.ndarray, "n_behaviours n_sentences"]  # NaN where the read takes no token

    LOOK = ".log_odds, .trace"
    __repr__ = brief

    def stretches(self) -> list[tuple[int, int, int]]:
        """List (start, end, token): characters shown as one, in order and disjoint, and the token that scores them.

        Tokens that share a character make one stretch; its token is the last one with a score.
        """
        stretches: list[tuple[int, int, int]] = []
        for token, (start, end) in enumerate(self.characters.tolist()):
            if end <= start:
                continue
            if stretches and start < stretches[-1][1]:
                before = stretches.pop()
                scoring = before[2] if np.isnan(self.log_odds[:, token]).all() else token
                stretches.append((before[0], max(before[1], end), scoring))
            else:
                stretches.append((start, end, token))
        return stretches

    def coloured(self) -> ColouredText:
        """Convert to what a page shows: stretches, sentences and labels with their places."""
        scores, sentence_scores = self.log_odds.T.tolist(), self.sentence_log_odds.T.tolist()
        return ColouredText(
            name=self.trace.id,
            prompt=self.trace.prompt,
            text=self.trace.text,
            tokens=[(start, end, scores[token]) for start, end, token in self.stretches()],
            sentences=[
                (span.start, span.end, values) for span, values in zip(self.sentences, sentence_scores, strict=True)
            ],
            labels=[(span.start, span.end, span.label) for span in self.trace.spans],
        )

    def to_dict(self, behaviours: Sequence[str]) -> dict[str, Any]:
        """Convert to plain values for JSON: columns as lists, None for a missing score.

        Args:
            behaviours: Names of the rows of the scores.
        """
        return {
            "id": self.trace.id,
            "prompt": self.trace.prompt,
            "text": self.trace.text,
            "tokens": {
                "start": self.characters[:, 0].tolist(),
                "end": self.characters[:, 1].tolist(),
                "log_odds": dict(zip(behaviours, map(_plain, self.log_odds), strict=True)),
            },
            "sentences": {
                "start": [span.start for span in self.sentences],
                "end": [span.end for span in self.sentences],
                "label": [span.label for span in self.sentences],
                "log_odds": dict(zip(behaviours, map(_plain, self.sentence_log_odds), strict=True)),
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ScoredText:
        """Build a text from plain values: the inverse of `to_dict`."""
        tokens, parts = content["tokens"], content["sentences"]
        sentences = tuple(map(Span, parts["start"], parts["end"], parts["label"]))
        is_labelled = any(span.label for span in sentences)
        return cls(
            trace=Trace(content["id"], content["prompt"], content["text"], sentences if is_labelled else ()),
            characters=np.stack([np.array(tokens[name], dtype=np.int64) for name in ("start", "end")], axis=1),
            log_odds=_scores(tokens),
            sentences=sentences,
            sentence_log_odds=_scores(parts),
        )


def _plain(scores: Float[np.ndarray, " n"]) -> list[float | None]:
    return [None if math.isnan(score) else score for score in scores.tolist()]


def _scores(part: Mapping[str, Any]) -> Float[np.ndarray, "n_behaviours n"]:
    rows = part["log_odds"].values()
    return np.array([[math.nan if score is None else score for score in row] for row in rows], dtype=np.float64)
