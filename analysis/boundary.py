"""A boundary: the place before a labelled span, what a model says there, and what an annotator makes of it.

The prefix is a slice of the token ids that the whole trace has, so the template stands in it once and no tokens merge
or part at the cut. What is annotated is the decoded text, prefix and first sentence of the continuation together: the
first span that begins behind the prefix says what came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from ..generation import Sampling, continuations
from ..models import LanguageModel
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
    """One labelled span, and what the model said in its place."""

    trace: str
    problem: str
    span: int  # number of the span in the trace
    label: str
    is_seen: bool  # whether the annotator gives the trace's own words this label here
    found: tuple[str | None, ...]  # behaviour of each continuation; None: the annotator finds none in it
    said: tuple[str, ...]  # the continuations, up to the end of their first sentence

    @property
    def n_samples(self) -> int:
        return len(self.found)

    @property
    def n_returned(self) -> int:
        """Continuations that show the boundary's own behaviour."""
        return self.found.count(self.label)

    @property
    def share(self) -> float:
        """Of the continuations, those that show the boundary's own behaviour."""
        return self.share_of(self.label)

    def share_of(self, behaviour: str) -> float:
        """Of the continuations, those that show `behaviour`."""
        return self.found.count(behaviour) / self.n_samples


@dataclass(frozen=True, eq=False, slots=True)
class Prefix:
    """What stands before a span, in tokens and in text, and what the trace says from there on."""

    token_ids: Int[np.ndarray, " n_tokens"]
    n_prompt: int  # tokens before the response
    rest: Int[np.ndarray, " n_rest"]


def prefix_of(
    model: LanguageModel, trace: Trace, span: int, template: Template, truncate: bool = False
) -> Prefix | None:
    """The prefix of a span, by its number; None where nothing stands before it or it was truncated away."""
    first_letter = len(trace.text) - len(trace.text.lstrip())
    response = Span(first_letter, first_letter + 1, "the first letter of the response")
    spans = (trace.spans[span], response)
    (encoded,) = encode(model, [replace(trace, spans=spans)], template=template, truncate=truncate)
    found, begins = encoded.spans
    if found is None or begins is None or found[0] == 0:
        return None
    return Prefix(encoded.token_ids[: found[0]], begins[0], encoded.token_ids[found[0] :])


def sample_boundary(
    model: LanguageModel,
    trace: Trace,
    span: int,
    prefix: Prefix,
    sampling: Sampling,
    annotator: Annotator,
    seed: int,
) -> Boundary:
    """The boundary of a span, with what the model said in its place."""
    label = trace.spans[span].label
    drawn = continuations(model, prefix.token_ids, sampling, seed)
    before, (own, *said) = _first_sentences(model, prefix, [prefix.rest.tolist(), *drawn])
    return Boundary(
        trace=trace.id,
        problem=trace.problem,
        span=span,
        label=label,
        is_seen=_behaviour(annotator, trace.prompt, before, own) == label,
        found=tuple(_behaviour(annotator, trace.prompt, before, sentence) for sentence in said),
        said=tuple(said),
    )


def _first_sentences(model: LanguageModel, prefix: Prefix, continued: Sequence[Sequence[int]]) -> tuple[str, list[str]]:
    """The response as far as the prefix goes, and the first sentence (three words or more) of each continuation."""
    token_ids: list[int] = prefix.token_ids.tolist()
    prompt = _decoded(model, token_ids[: prefix.n_prompt])
    before = _decoded(model, token_ids).rstrip("\ufffd")  # half a character is whole with what follows
    sentences = []
    for more in continued:
        after = _decoded(model, [*token_ids, *more])[len(before) :]
        found = segment(after)
        sentences.append(after[: found[0][1]] if found else after)
    return before[len(prompt) :], sentences


def _decoded(model: LanguageModel, token_ids: list[int]) -> str:
    return str(model.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _behaviour(annotator: Annotator, prompt: str, before: str, sentence: str) -> str | None:
    spans = [span for span in annotator(prompt, before + sentence) if span.start >= len(before)]
    return min(spans, key=lambda span: span.start).label if spans else None
