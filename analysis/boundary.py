"""Sample one boundary: the place before a labelled span, from which a model continues and an annotator labels.

The prefix is a slice of the token ids of the complete trace, so it contains the chat template once, and no tokens merge
or split at the cut. The annotator labels the decoded text, prefix and first sentence of the continuation together; the
first span that begins after the prefix is the behaviour of the continuation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from ..generation import Sampling, continuations
from ..models import LanguageModel
from ..rundir import brief
from ..traces import (
    Annotator,
    Span,
    Template,
    Trace,
    encode,
    segment,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """One labelled span, and the continuations of the model in its place."""

    trace: str
    problem: str
    span: int  # number of the span in the trace
    label: str
    is_seen: bool  # whether the annotator gives this label to the trace's own words
    found: tuple[str | None, ...]  # behaviour of each continuation, None without one; the name of the column in files
    said: tuple[str, ...]  # text of each continuation, cut after its first sentence; the name of the column in files

    __repr__ = brief

    @property
    def n_samples(self) -> int:
        """Number of continuations."""
        return len(self.found)

    @property
    def n_returned(self) -> int:
        """Number of continuations that show the boundary's own behaviour."""
        return self.found.count(self.label)

    @property
    def share(self) -> float:
        """Share of the continuations that show the boundary's own behaviour."""
        return self.share_of(self.label)

    def share_of(self, behaviour: str) -> float:
        """Compute the share of the continuations that show `behaviour`."""
        return self.found.count(behaviour) / self.n_samples


@dataclass(frozen=True, eq=False, slots=True)
class Prefix:
    """The tokens of a trace before a span, and those from there on."""

    token_ids: Int[np.ndarray, " n_tokens"]
    n_prompt: int  # tokens before the response
    rest: Int[np.ndarray, " n_rest"]  # tokens from the span on


def prefix_of(
    model: LanguageModel, trace: Trace, span: int, template: Template, truncate: bool = False
) -> Prefix | None:
    """Encode the prefix of a span, by its number; None if no text is before it, or the span was truncated."""
    first_letter = len(trace.text) - len(trace.text.lstrip())
    response = Span(first_letter, first_letter + 1, "the first letter of the response")
    spans = (trace.spans[span], response)
    (encoded,) = encode(model, [replace(trace, spans=spans)], template=template, truncate=truncate)
    own_tokens, begins = encoded.spans
    if own_tokens is None or begins is None or own_tokens[0] == 0:
        return None
    return Prefix(encoded.token_ids[: own_tokens[0]], begins[0], encoded.token_ids[own_tokens[0] :])


def sample_boundary(
    model: LanguageModel,
    trace: Trace,
    span: int,
    prefix: Prefix,
    sampling: Sampling,
    annotator: Annotator,
    seed: int,
) -> Boundary:
    """Continue a prefix several times, and label each continuation and the trace's own words."""
    label = trace.spans[span].label
    sampled = continuations(model, prefix.token_ids, sampling, seed)
    before, (own, *sentences) = _first_sentences(model, prefix, [prefix.rest.tolist(), *sampled])
    return Boundary(
        trace=trace.id,
        problem=trace.problem,
        span=span,
        label=label,
        is_seen=_behaviour(annotator, trace.prompt, before, own) == label,
        found=tuple(_behaviour(annotator, trace.prompt, before, sentence) for sentence in sentences),
        said=tuple(sentences),
    )


def _first_sentences(model: LanguageModel, prefix: Prefix, continued: Sequence[Sequence[int]]) -> tuple[str, list[str]]:
    """Decode the response up to the boundary, and the first sentence (three words or more) of each continuation."""
    token_ids: list[int] = prefix.token_ids.tolist()
    prompt = _decoded(model, token_ids[: prefix.n_prompt])
    before = _decoded(model, token_ids).rstrip("\ufffd")  # half a character, completed by the next token
    sentences = []
    for more in continued:
        after = _decoded(model, [*token_ids, *more])[len(before) :]
        places = segment(after)
        sentences.append(after[: places[0][1]] if places else after)
    return before[len(prompt) :], sentences


def _decoded(model: LanguageModel, token_ids: list[int]) -> str:
    return str(model.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _behaviour(annotator: Annotator, prompt: str, before: str, sentence: str) -> str | None:
    """Label a sentence in its context; None where the annotator finds no behaviour in it."""
    spans = [span for span in annotator(prompt, before + sentence) if span.start >= len(before)]
    return min(spans, key=lambda span: span.start).label if spans else None
