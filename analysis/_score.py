"""Probes applied to new text: what they say at every token, and of every sentence.

1. Prompt and text go through the model once, teacher-forced; the residual stream is read at every token, at the layer
   of each behaviour. A token's score is the log odds x . weight + bias. Attention sinks and markup get none.
2. A probe was trained on means over a read of whole sentences, so a single token is a noisy case for it. A linear
   probe of a mean is the mean of the scores: each sentence also gets the mean over the tokens of its read.
3. A sentence is a labelled span of the trace; of a text without any, what `traces.segment` finds, short ones too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from ..activations import Read
from ..activations.engine import Engine, Segments
from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..probes.saved import SavedProbes
from ..rundir import InputError
from ..rundir.progress import ProgressBar
from ..traces import (
    EncodedTrace,
    Span,
    Template,
    Trace,
    encode,
    segment,
)
from .scored_text import ScoredText
from .token_scores import TokenScores


def score(
    model: ModelLike,
    texts: str | Trace | Iterable[str | Trace],
    probes: SavedProbes | str | Path,
    *,
    behaviours: Sequence[str] | None = None,
    layer: int | None = None,
    prompt: str = "",
    template: Template = "auto",
    truncate: bool = False,
    tokens_per_batch: int | None = None,
    force: bool = False,
    progress: bool = True,
) -> TokenScores:
    """The log odds of `behaviours` (default: all of the probes) at every token of `texts`.

    texts: strings, or traces with their own prompts and spans. probes: or the file that holds them. layer: for all
    behaviours, negative ones from the end; default each behaviour's best. prompt: what the strings answer.
    template, truncate: how prompt and text become tokens (see `traces.encode`). force: read a model of the same
    shape and other weights than the probes were trained on.

    Raises InputError when the probes cannot read the model (see `SavedProbes.check`), hold no such behaviour or
    layer, when there is no text, or an activation is not finite.
    """
    if not isinstance(probes, SavedProbes):
        probes = SavedProbes.open(probes)
    traces = _traces(texts, prompt)
    layers = _layers(probes, behaviours, layer)
    model = load(model)
    probes.check(model, force)
    encoded = encode(model, map(_with_sentences, traces), template=template, truncate=truncate)
    scores = _token_scores(model, encoded, probes, layers, tokens_per_batch, progress)
    read = Read.parse(probes.read)
    return TokenScores(
        texts=tuple(_scored(*each, read) for each in zip(traces, encoded, scores, strict=True)),
        layers=layers,
        priors={behaviour: probes.prior(behaviour) for behaviour in layers},
        model=model.identity(),
        read=probes.read,
        method=probes.method,
        are_log_odds=probes.are_log_odds,
    )


def _traces(texts: str | Trace | Iterable[str | Trace], prompt: str) -> list[Trace]:
    given = [texts] if isinstance(texts, str | Trace) else list(texts)
    traces = []
    for number, text in enumerate(given, start=1):
        trace = text if isinstance(text, Trace) else Trace(f"text {number}", prompt, text)
        if any("\ud800" <= character <= "\udfff" for character in trace.prompt + trace.text):
            raise InputError(f"{trace.id} holds half of a surrogate pair, which is no text; is it UTF-8?")
        traces.append(trace)
    if not any(trace.text.strip() for trace in traces):
        raise InputError(f"there is nothing to score: {len(traces)} texts without a word; give some text")
    return traces


def _with_sentences(trace: Trace) -> Trace:
    if trace.spans:
        return trace
    return replace(trace, spans=tuple(Span(start, end, "") for start, end in segment(trace.text, min_words=1)))


def _layers(probes: SavedProbes, behaviours: Sequence[str] | None, layer: int | None) -> dict[str, int]:
    n_layers = probes.model.get("n_layers")
    if layer is not None and layer < 0 and isinstance(n_layers, int):
        layer += n_layers
    chosen = probes.behaviours if behaviours is None else tuple(dict.fromkeys(behaviours))
    if not chosen:
        raise InputError(f"no behaviours asked for; there are probes for {', '.join(probes.behaviours)}")
    return {behaviour: probes.layer_of(behaviour, layer) for behaviour in chosen}


def _token_scores(
    model: LanguageModel,
    texts: list[EncodedTrace],
    probes: SavedProbes,
    layers: dict[str, int],
    tokens_per_batch: int | None,
    progress: bool,
) -> list[Float[np.ndarray, "n_behaviours n_tokens"]]:
    """Of every token of prompt and text; NaN for markup."""
    places = [np.flatnonzero(~text.is_markup) for text in texts]
    owner = np.repeat(np.arange(len(texts)), [len(each) for each in places])
    position = np.concatenate(places)
    segments = Segments(np.arange(len(position)), owner, position, position + 1)
    wanted = sorted(set(layers.values()))
    engine = Engine(model, wanted, tokens_per_batch=tokens_per_batch, on_device=model.device.type == "cuda")
    found = np.full((len(layers), len(position)), np.nan, dtype=np.float32)
    with ProgressBar(
        total=sum(map(len, texts)), desc="scoring", unit="token", unit_scale=True, progress=progress
    ) as bar:
        for pooled in engine.run([text.token_ids for text in texts], segments):
            _check_finite(pooled.norms.isfinite().all(dim=0).cpu().numpy(), pooled.segments, owner, texts)
            scored = [
                probes.score(pooled.means[wanted.index(layer)], behaviour, layer) for behaviour, layer in layers.items()
            ]
            found[:, pooled.segments] = torch.stack(scored).cpu().numpy()
            bar.update(pooled.n_tokens)
    whole = []
    for text, place, part in zip(
        texts, places, np.split(found, np.cumsum(list(map(len, places)))[:-1], axis=1), strict=True
    ):
        whole.append(np.full((len(layers), len(text)), np.nan, dtype=np.float32))
        whole[-1][:, place] = part
    return whole


def _scored(
    trace: Trace, text: EncodedTrace, scores: Float[np.ndarray, "n_behaviours n_tokens"], read: Read
) -> ScoredText:
    of_sentences = np.full((len(scores), len(text.spans)), np.nan)
    for number, span in enumerate(text.spans):
        positions = [] if span is None else [place for place in read.positions(*span) if place < len(text)]
        positions = [place for place in positions if not text.is_markup[place]]
        if positions:
            of_sentences[:, number] = scores[:, positions].mean(axis=1, dtype=np.float64)
    of_text = text.characters[:, 1] > text.characters[:, 0]
    return ScoredText(
        trace=trace,
        characters=text.characters[of_text],
        log_odds=scores[:, of_text].astype(np.float64),
        sentences=text.trace.spans,
        sentence_log_odds=of_sentences,
    )


def _check_finite(
    is_finite: Bool[np.ndarray, " n_segments"],
    segments: Int[np.ndarray, " n_segments"],
    owner: Int[np.ndarray, " n_tokens"],
    texts: list[EncodedTrace],
) -> None:
    if not is_finite.all():
        trace = texts[owner[segments[np.flatnonzero(~is_finite)[0]]]].trace
        raise InputError(
            f"activations of {trace.id!r} are not finite (NaN or infinity). Half-precision overflow is the usual "
            "cause: load the model with dtype=bfloat16 or float32."
        )
