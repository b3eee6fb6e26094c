"""Look at traces token by token: projections on directions, probe scores, and where two models part.

1. The model reads prompt and text once; at every layer that is asked for, the activation x of a token is projected on
   unit direction u as x . u / (mean residual norm at the layer), where that norm is known, and scored by each probe.
2. With another model, KL(other || model) of the token that comes is computed at every token of the text, before it is
   written, in nats: where it is large the two would write something else. Both read with a cache, part by part.
3. Special tokens, template and attention sinks have no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..activations.engine import Engine, Segments
from ..activations.layers import choose_layers
from ..figures.token_view import TokenChannel, TokenView, ViewedTrace, bands_of
from ..generation.state import divergence_nats
from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..models.cache_argument import filled_cache
from ..models.sites import Site
from ..probes.saved import SavedProbes
from ..rundir import InputError
from ..rundir.progress import ProgressBar
from ..traces import EncodedTrace, Template, Trace, TraceSource, encode, resolve_traces
from ..vectors import Directions
from ..vectors.fit import check_fit

PROJECTION, SCORE, DIVERGENCE = "projection on a direction", "probe score", "divergence of the two models"
N_AT_ONCE = 256  # tokens whose logits are held

# What is computed of the activations of some tokens: a row for each channel.
Compute = Callable[[Float[Tensor, "n_layers n_tokens d_model"]], Float[Tensor, "n_channels n_tokens"]]


def token_view(
    model: ModelLike,
    traces: TraceSource | Iterable[str],
    *,
    directions: Directions | str | Path | None = None,
    probes: SavedProbes | str | Path | None = None,
    other: ModelLike | None = None,
    behaviours: Sequence[str] | None = None,
    layers: str | Sequence[int] | int | None = None,
    template: Template = "auto",
    force: bool = False,
    progress: bool = True,
) -> TokenView:
    """Compute what can be seen at every token of traces, to look at in a notebook or on a page.

    Args:
        model: The model that reads, or its name or path.
        traces: Traces, a file of them, or texts; their spans become bands.
        directions: Directions to project on, or their file.
        probes: Probes to score with, or their file.
        other: Another model with the same tokens, whose predictions are compared: the thinking model of a base.
        behaviours: Whose directions and probes; None means all.
        layers: Layers of the directions and probes; None means all that they have.
        template: How the prompt is written, as `traces.encode` has it.
        force: Accept directions and probes of other weights.
        progress: Show a progress bar.

    Returns:
        The view: `view` in a notebook, `view.to_html("view.html")` for a page.

    Raises:
        InputError: Nothing to compute is given, or directions, probes or the other model do not fit.
    """
    if directions is None and probes is None and other is None:
        raise InputError("there is nothing to look at: give directions=, probes= or other=, a second model")
    loaded = load(model)
    second = None if other is None else load(other)
    if second is not None and second.tokenizer.get_vocab() != loaded.tokenizer.get_vocab():
        raise InputError(f"{second.name} has other tokens than {loaded.name}: their predictions cannot be compared")
    encoded = encode(loaded, _resolved(traces), template=template)
    channels: list[list[TokenChannel]] = [[] for _ in encoded]
    with ProgressBar(total=len(encoded), desc="reading traces", unit="trace", progress=progress) as bar:
        parts: list[tuple[list[TokenChannel], tuple[int, ...], Site, Compute]] = []
        if directions is not None:
            opened = directions if isinstance(directions, Directions) else Directions.open(directions)
            parts.append(_projections(loaded, opened, behaviours, layers, force))
        if probes is not None:
            saved = probes if isinstance(probes, SavedProbes) else SavedProbes.open(probes)
            parts.append(_scores(loaded, saved, behaviours, layers, force))
        for text, own in zip(encoded, channels, strict=True):
            for heads, read_layers, site, compute in parts:
                values = values_by_token(loaded, text, read_layers, site, compute, len(heads))
                own += [replace(head, values=row[_shown(text)]) for head, row in zip(heads, values, strict=True)]
            if second is not None:
                nats = divergence(loaded, second, text)[_shown(text)]
                own.append(TokenChannel(measure=DIVERGENCE, values=nats, unit="nats", centre=None))
            bar.update(1)
    against = "" if second is None else f" beside {second.name}"
    return TokenView(
        traces=tuple(_viewed(text, own) for text, own in zip(encoded, channels, strict=True)),
        title=f"Traces, token by token, in {loaded.name}",
        caption=f"Read by {loaded.name}{against}.",
    )


def values_by_token(
    model: LanguageModel, text: EncodedTrace, layers: Sequence[int], site: Site, compute: Compute, n_channels: int
) -> Float[np.ndarray, "n_channels n_tokens"]:
    """Compute values from the activation of every token of a text; NaN for markup and attention sinks.

    Args:
        model: The model that reads.
        text: The text.
        layers: Layers that are read.
        site: Where in each block.
        compute: The values of some tokens.
        n_channels: How many it gives for each.
    """
    place = np.flatnonzero(~text.is_markup)
    segments = Segments(np.arange(len(place)), np.zeros_like(place), place, place + 1, np.zeros_like(place))
    engine = Engine(model, list(layers), sites=(site,), on_device=model.device.type == "cuda")
    values = np.full((n_channels, len(text)), np.nan, dtype=np.float32)
    for pooled in engine.run([text.token_ids], segments):
        values[:, place[pooled.segments]] = compute(pooled.means[0].float()).cpu().numpy()
    return values


@torch.inference_mode()
def divergence(model: LanguageModel, other: LanguageModel, text: EncodedTrace) -> Float[np.ndarray, " n_tokens"]:
    """Compute KL(other || model) of what comes, at each token before it is written, in nats; NaN for the first token.

    Args:
        model: The model that the other is compared with.
        other: The other model, with the same tokens.
        text: The text.
    """
    ids = torch.from_numpy(np.asarray(text.token_ids, dtype=np.int64))[None]
    values = np.full(len(text), np.nan, dtype=np.float32)
    step = N_AT_ONCE if model.takes_cache and other.takes_cache else len(text)
    caches: list[object] = [None, None]
    for start in range(0, len(text) - 1, step):
        stop, logits = min(start + step, len(text) - 1), []
        for number, one in enumerate((other, model)):
            part = ids[:, start:stop].to(one.device)
            mask = torch.ones((1, stop), dtype=torch.long, device=one.device)
            cached = {one.cache_name: caches[number]} if one.takes_cache else {}
            output = one.model(part, attention_mask=mask, use_cache=step < len(text), **cached)
            caches[number] = filled_cache(output)
            logits.append(output.logits[0].to(model.device))
        values[start + 1 : stop + 1] = divergence_nats(*logits).cpu().numpy()
    return values


def _resolved(traces: TraceSource | Iterable[str]) -> list[Trace]:
    if isinstance(traces, str | Path | Trace | Mapping):
        return list(resolve_traces(traces))
    items = list(traces)
    texts = [item for item in items if isinstance(item, str)]
    if texts and len(texts) == len(items):
        return [Trace(f"text {number}", "", text) for number, text in enumerate(texts, start=1)]
    return list(resolve_traces([item for item in items if not isinstance(item, str)]))


def _projections(
    model: LanguageModel,
    directions: Directions,
    behaviours: Sequence[str] | None,
    layers: str | Sequence[int] | int | None,
    force: bool,
) -> tuple[list[TokenChannel], tuple[int, ...], Site, Compute]:
    check_fit(directions, model, force=force)
    chosen = directions.choose_layers(layers, model.n_layers)
    names = directions.behaviours if behaviours is None else tuple(behaviours)
    heads, rows, places = [], [], []
    for name in names:
        for layer in chosen:
            norm = directions[name].norm_at(layer)
            is_known = norm == norm
            vector = directions.at(name, layer).float()
            rows.append(vector / vector.norm().clamp_min(1e-12) / (norm if is_known else 1.0))
            unit = "of the mean residual norm" if is_known else "residual units"
            heads.append(TokenChannel(measure=PROJECTION, behaviour=name, layer=layer, unit=unit, values=np.empty(0)))
            places.append(chosen.index(layer))
    units = torch.stack(rows)  # (n_channels, d_model)

    def compute(activations: Float[Tensor, "n_layers n_tokens d_model"]) -> Float[Tensor, "n_channels n_tokens"]:
        return torch.stack([activations[place] @ row.to(activations) for place, row in zip(places, units, strict=True)])

    return heads, chosen, directions.site, compute


def _scores(
    model: LanguageModel,
    probes: SavedProbes,
    behaviours: Sequence[str] | None,
    layers: str | Sequence[int] | int | None,
    force: bool,
) -> tuple[list[TokenChannel], tuple[int, ...], Site, Compute]:
    probes.check(model, force)
    if layers is None:
        chosen = tuple(probes.layers)
    else:
        numbers = choose_layers(layers, probes.layers, model.n_layers) if isinstance(layers, str) else layers
        chosen = tuple(
            layer for layer in ([numbers] if isinstance(numbers, int) else numbers) if layer in probes.layers
        )
    if not chosen:
        raise InputError(f"there are probes at layers {', '.join(map(str, probes.layers))}, and none of {layers!r}")
    names = probes.behaviours if behaviours is None else tuple(behaviours)
    heads, cells = [], []
    for name in names:
        prior = probes.prior(name)
        for layer in sorted(chosen, key=lambda one: one != probes.layer_of(name)):  # the best layer first
            unit = "log odds" if probes.are_log_odds else ""
            heads.append(
                TokenChannel(
                    measure=SCORE, behaviour=name, layer=layer, unit=unit, centre=prior or 0.0, values=np.empty(0)
                )
            )
            cells.append((name, layer))

    def compute(activations: Float[Tensor, "n_layers n_tokens d_model"]) -> Float[Tensor, "n_channels n_tokens"]:
        return torch.stack([probes.score(activations[chosen.index(layer)], name, layer) for name, layer in cells])

    return heads, chosen, Site.parse(probes.site), compute


def _shown(text: EncodedTrace) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Choose the tokens that write a part of the text; a character of several tokens goes with the last of them."""
    starts, ends = text.characters.T
    is_shown = ends > starts
    where = np.flatnonzero(is_shown)
    is_shown[where[:-1][starts[where[1:]] < ends[where[:-1]]]] = False
    return np.asarray(is_shown, dtype=bool)


def _viewed(text: EncodedTrace, channels: Sequence[TokenChannel]) -> ViewedTrace:
    stretches = text.characters[_shown(text)].tolist()
    # What lies between two tokens goes with the first, so that the tokens together are the text.
    ends = [*(start for start, _ in stretches[1:]), len(text.trace.text)][: len(stretches)]
    starts = [0, *ends[:-1]][: len(stretches)]
    return ViewedTrace(
        name=text.trace.id,
        prompt=text.trace.prompt,
        tokens=tuple(text.trace.text[start:end] for start, end in zip(starts, ends, strict=True)),
        channels=tuple(channels),
        bands=bands_of(stretches, [(span.start, span.end, span.label) for span in text.trace.spans if span.label]),
    )
