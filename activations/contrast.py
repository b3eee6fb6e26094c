"""Collect activations of contrast pairs: prompts in pairs, without labels, as repeng and steering-vectors take them.

1. Every prompt is tokenised as it stands, with the tokenizer's special tokens and without a chat template; one that
   begins with the text of the BOS token gets no second one.
2. The last token is read (`read`), whatever it is: white space and special tokens at the end are the prompt's own.
3. Each pair is a problem and a trace of its own. So folds and resamples never cut a pair, the mean difference is the
   mean over pairs, and PCA of paired differences takes the two of one pair.

Zou et al. 2023 (arXiv 2310.01405); Rimsky et al. 2023 (arXiv 2312.06681).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..models.sites import BLOCK_OUTPUT, Site
from ..rundir.progress import ProgressBar
from ..traces import EncodedTrace, PairSource, Span, Trace, encode, resolve_pairs
from ._collect import in_memory, read_part
from .activations import Activations
from .collector import Collector
from .read import Read
from .settings import CollectSettings

POSITIVE = "positive"


def collect_pairs(
    model: ModelLike,
    pairs: PairSource,
    *,
    label: str = POSITIVE,
    layers: str | Sequence[int] | None = None,
    read: Read | str = "last",
    site: Site | str = BLOCK_OUTPUT,
    tokens_per_batch: int | None = None,
    progress: bool = True,
) -> Activations:
    """Collect the activations of both prompts of every pair, for directions and probes.

    Args:
        model: A name, a handle or a loaded model.
        pairs: (positive, negative) texts, objects with these fields, or a file of such rows (`traces.resolve_pairs`).
        label: What the positive prompts show; the negative ones are labelled "not " and this.
        layers: 0-based blocks that are read, or a text such as "0,4,10:20:2"; None means all.
        read: Tokens of a prompt that are averaged; "last" is that of the other tools, "mean" all but attention sinks
            and special tokens.
        site: Where in each block.
        tokens_per_batch: Most tokens in one forward pass; None chooses by device.
        progress: Show a progress bar over tokens.

    Returns:
        Two activations for each pair, the positive one first; `problems` are the pairs.

    Raises:
        InputError: There is no pair, a text is empty or longer than the model's context, or a layer does not exist.
    """
    handle = load(model)
    bos = handle.tokenizer.bos_token or ""
    traces = [
        Trace(f"pair {number}", "", text, (Span(0, len(text), name),), f"pair {number}")
        for number, pair in enumerate(resolve_pairs(pairs), start=1)
        for text, name in ((_without(pair.positive, bos), label), (_without(pair.negative, bos), f"not {label}"))
    ]
    settings = CollectSettings(
        layers=layers, read=read, sites=site, template="plain", tokens_per_batch=tokens_per_batch
    )
    collector = Collector(handle, settings, encoder=lambda texts: _encoded(handle, texts, settings.reads[0]))
    with ProgressBar(desc="reading pairs", unit="token", unit_scale=True, progress=progress) as bar:
        part = read_part(collector, traces, bar.update, bar.reset)
    return in_memory(part, collector).at()


def _encoded(model: LanguageModel, traces: Sequence[Trace], read: Read) -> list[EncodedTrace]:
    """Tokenise prompts; the span of each is all of it, and its last token may be read, whatever it is."""
    encoded = []
    for text in encode(model, traces, template="plain"):
        first = int(np.argmax(text.characters[:, 1] > text.characters[:, 0]))
        is_markup = text.is_markup.copy()
        if read == Read.last():
            is_markup[-1] = False
        encoded.append(replace(text, spans=((first, len(text)),), is_markup=is_markup))
    return encoded


def _without(text: str, bos: str) -> str:
    """Remove the BOS token's text from the beginning, since the tokenizer adds it; nothing else is left of it alone."""
    return text.removeprefix(bos) or text
