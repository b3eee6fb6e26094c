"""Read texts with a model: how likely every token of a response was to it, and how many tokens were likelier.

    nats of a token    -log p(token | prompt, the response so far)
    rank               1 + the number of tokens that the model held to be likelier

Each text is read in the reader's own tokens, after the prompt as the reader is given it, so that models with different
tokenizers can be compared by character. A response's end is no text and has no part in this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from ...models import LanguageModel
from ...models.one_pass import one_pass
from ...rundir import brief
from ...rundir.progress import ProgressBar
from ...traces import EncodedTrace, Template, Trace, encode

MAX_LOGITS = 2**26  # of one pass, counted over rows, positions and vocabulary


@dataclass(frozen=True, eq=False, slots=True)
class TokenReading:
    """A response as a model reads it.

    Attributes:
        nats: Of each token.
        ranks: Of each token; 1: none was likelier.
        spans: Number of the span that each token lies in, in the order of the trace's; -1: none.
        is_first: Whether it is the first token of its span.
        n_characters: Of the response that these tokens cover.
    """

    nats: Float[np.ndarray, " n_tokens"]
    ranks: Int[np.ndarray, " n_tokens"]
    spans: Int[np.ndarray, " n_tokens"]
    is_first: Bool[np.ndarray, " n_tokens"]
    n_characters: int

    __repr__ = brief


@torch.inference_mode()
def read_texts(
    model: LanguageModel,
    traces: Sequence[Trace],
    template: Template = "auto",
    *,
    desc: str = "reading",
    progress: bool = False,
) -> list[TokenReading]:
    """Read responses with a model.

    Args:
        model: That reads.
        traces: Prompts and responses; labelled spans come back as the spans of tokens.
        template: How the model is given the prompt. Texts that are longer than its context are cut.
        desc: What the bar says.
        progress: Whether a bar is shown.

    Returns:
        The reading of each response, in the order of the traces; it does not depend on which are read together.

    Raises:
        InputError: The model cannot read a prompt.
    """
    encoded = encode(model, traces, template=template, truncate=True)
    order = sorted(range(len(encoded)), key=lambda number: len(encoded[number]))
    readings: dict[int, TokenReading] = {}
    width = int(model.model.get_output_embeddings().weight.shape[0])
    with ProgressBar(desc=desc, unit="text", total=len(encoded), progress=progress) as bar:
        for numbers in _batches(order, [len(text) for text in encoded], width):
            texts = [encoded[number] for number in numbers]
            longest = max(map(len, texts))
            ids = torch.zeros((len(texts), longest), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, text in enumerate(texts):
                ids[row, : len(text)] = torch.from_numpy(text.token_ids)
                mask[row, : len(text)] = 1
            ids, mask = ids.to(model.device), mask.to(model.device)
            with one_pass(model):
                logits = model.model(ids, attention_mask=mask, use_cache=False).logits
            for row, number in enumerate(numbers):
                readings[number] = _reading(encoded[number], logits[row])
            bar.update(len(numbers))
    return [readings[number] for number in range(len(encoded))]


def _batches(order: Sequence[int], lengths: Sequence[int], width: int) -> Iterator[list[int]]:
    """Put texts of like lengths together, as many as one pass has room for."""
    batch: list[int] = []
    for number in order:  # from the shortest on, so the last one is the longest
        if batch and (len(batch) + 1) * lengths[number] * width > MAX_LOGITS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _reading(text: EncodedTrace, logits: torch.Tensor) -> TokenReading:
    stops = text.characters[:, 1]
    in_response = (stops > 0) & (text.characters[:, 0] < stops) & ~text.is_markup
    places = np.flatnonzero(in_response)
    places = places[places > 0]  # nothing foretells the first token of a text
    before = logits[torch.from_numpy(places - 1).to(logits.device)].float()  # (n_tokens, vocabulary)
    tokens = torch.from_numpy(text.token_ids[places]).to(logits.device)
    chosen = before.gather(1, tokens[:, None])
    nats = before.logsumexp(dim=1) - chosen[:, 0]
    ranks = 1 + (before > chosen).sum(dim=1)
    spans = np.full(len(text), -1)
    is_first = np.zeros(len(text), dtype=bool)
    for number, span in enumerate(text.spans):
        if span is not None:
            spans[span[0] : span[1]] = number
            is_first[span[0]] = True
    n_characters = int(stops[places[-1]] - text.characters[places[0], 0]) if len(places) else 0
    return TokenReading(
        nats=nats.double().cpu().numpy(),
        ranks=ranks.cpu().numpy(),
        spans=spans[places],
        is_first=is_first[places],
        n_characters=n_characters,
    )
