"""Score new text with probes, at every token and for every sentence.

1. The model reads prompt and text in one forward pass; activations are read at every token, at the layer of each
   behaviour and the site of the probes. The score of a token with activation x is its log odds, x . weight + bias.
   Attention sinks and markup have no score.
2. Probes are trained on means over the tokens of a sentence, so single tokens are noisy inputs. Since a linear probe of
   a mean is the mean of the scores, each sentence is also scored, by the mean over the tokens of its read.
3. A sentence is a labelled span of the trace; a text without spans is divided by `traces.segment`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..activations import Read
from ..activations.engine import Engine, Segments
from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..models.sites import Site
from ..probes.saved import SavedProbes
from ..rundir import InputError, listed
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
    """Compute the log odds of behaviours at every token and sentence of texts.

    Args:
        model: The model that the probes were trained on, or its name or path.
        texts: One text or several: strings, or traces with their own prompts and spans.
        probes: Probes, or the file that holds them.
        behaviours: Behaviours to score; None means all that the probes have.
        layer: 0-based layer at which all behaviours are read, negative ones counted from the end; None means the best
            layer of each behaviour.
        prompt: The prompt before texts that are strings.
        template: Whether prompts go through the chat template.
        truncate: Cut texts longer than the model's context instead of refusing them.
        tokens_per_batch: Most tokens in one forward pass; None chooses by device.
        force: Also read a model of the same shape with other weights.
        progress: Show a progress bar.

    Returns:
        Scores of every text, in order.

    Raises:
        InputError: The probes do not fit the model (see `SavedProbes.check`) or lack a behaviour or layer, there is no
            text, or an activation is not finite.
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
        texts=tuple(_scored(*parts, read) for parts in zip(traces, encoded, scores, strict=True)),
        layers=layers,
        priors={behaviour: probes.prior(behaviour) for behaviour in layers},
        model=model.identity(),
        read=probes.read,
        method=probes.method,
        are_log_odds=probes.are_log_odds,
    )


def _traces(texts: str | Trace | Iterable[str | Trace], prompt: str) -> list[Trace]:
    """Wrap texts as traces, and check that there is something to score."""
    if not isinstance(texts, Iterable) and not isinstance(texts, Trace):
        raise InputError(f"{texts!r:.60} ({type(texts).__name__}) is no text; give a string, a Trace or several")
    items = [texts] if isinstance(texts, str | Trace) else list(texts)
    traces = []
    for number, text in enumerate(items, start=1):
        if not isinstance(text, str | Trace):
            raise InputError(f"text {number}, {text!r:.60} ({type(text).__name__}), is neither a string nor a Trace")
        trace = text if isinstance(text, Trace) else Trace(f"text {number}", prompt, text)
        if any("\ud800" <= character <= "\udfff" for character in trace.prompt + trace.text):
            raise InputError(f"{trace.id} holds half of a surrogate pair, which is no text; is it UTF-8?")
        traces.append(trace)
    if not any(trace.text.strip() for trace in traces):
        raise InputError(f"there is nothing to score: {len(traces)} texts without a word; give some text")
    return traces


def _with_sentences(trace: Trace) -> Trace:
    """Add the sentences of a trace without spans as spans with an empty label."""
    if trace.spans:
        return trace
    return replace(trace, spans=tuple(Span(start, end, "") for start, end in segment(trace.text, min_words=1)))


def _layers(probes: SavedProbes, behaviours: Sequence[str] | None, layer: int | None) -> dict[str, int]:
    """Choose the layer at which each behaviour is read."""
    n_layers = probes.model.get("n_layers")
    if layer is not None and layer < 0 and isinstance(n_layers, int):
        layer += n_layers
    chosen = probes.behaviours if behaviours is None else tuple(dict.fromkeys(behaviours))
    if not chosen:
        raise InputError(f"no behaviours asked for; there are probes for {listed(probes.behaviours, 10)}")
    return {behaviour: probes.layer_of(behaviour, layer) for behaviour in chosen}


def _token_scores(
    model: LanguageModel,
    texts: list[EncodedTrace],
    probes: SavedProbes,
    layers: dict[str, int],
    tokens_per_batch: int | None,
    progress: bool,
) -> list[Float[np.ndarray, "n_behaviours n_tokens"]]:
    """Compute the scores of every token of prompt and text; NaN for markup."""
    places = [np.flatnonzero(~text.is_markup) for text in texts]
    owner = np.repeat(np.arange(len(texts)), [len(text_places) for text_places in places])
    position = np.concatenate(places)
    segments = Segments(np.arange(len(position)), owner, position, position + 1, np.zeros_like(position))
    read_layers = sorted(set(layers.values()))
    on_device = model.device.type == "cuda"
    sites = (Site.parse(probes.site),)
    engine = Engine(model, read_layers, sites=sites, tokens_per_batch=tokens_per_batch, on_device=on_device)
    readers: list[tuple[int, Tensor, Tensor]] = []
    token_scores = np.full((len(layers), len(position)), np.nan, dtype=np.float32)
    with ProgressBar(
        total=sum(map(len, texts)), desc="scoring", unit="token", unit_scale=True, progress=progress
    ) as bar:
        for pooled in engine.run([text.token_ids for text in texts], segments):
            _check_finite(pooled.norms[0].isfinite().all(dim=0).numpy(), pooled.segments, owner, texts)
            if not readers:  # uploaded once
                device = pooled.means.device
                for behaviour, layer in layers.items():
                    weight, bias = probes.at(behaviour, layer)
                    readers.append((read_layers.index(layer), weight.to(device), bias.to(device)))
            scored = [pooled.means[0, slot].float() @ weight + bias for slot, weight, bias in readers]
            token_scores[:, pooled.segments] = torch.stack(scored).cpu().numpy()
            bar.update(pooled.n_tokens)
    scores = []
    for text, place, part in zip(
        texts, places, np.split(token_scores, np.cumsum(list(map(len, places)))[:-1], axis=1), strict=True
    ):
        scores.append(np.full((len(layers), len(text)), np.nan, dtype=np.float32))
        scores[-1][:, place] = part
    return scores


def _scored(
    trace: Trace, text: EncodedTrace, scores: Float[np.ndarray, "n_behaviours n_tokens"], read: Read
) -> ScoredText:
    """Average the scores over the read of each sentence, and drop the tokens of prompt and markup."""
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
