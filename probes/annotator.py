"""Label sentences with saved probes: each takes the behaviour whose probe is surest, or none.

1. Activations of every sentence are read as those of the training spans were (`read`, site), at each behaviour's best
   layer, many traces in one batch.
2. A sentence shows the behaviour of the highest log odds; none where even that is below 0, less likely than not.

Probes know what they were trained on and no more: labels by probes of a model say little about the same model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from ..activations import collect
from ..models import LanguageModel
from ..traces import Span, Template
from ..traces.annotators import NO_BEHAVIOUR, SegmentedTrace, SentenceAnnotator, SentenceLabels
from .saved import SavedProbes

N_TOGETHER = 64  # traces that are read, and then labelled


def probe_annotator(
    model: LanguageModel,
    probes: SavedProbes,
    *,
    template: Template = "auto",
    truncate: bool = False,
    tokens_per_batch: int | None = None,
) -> SentenceAnnotator:
    """Make an annotator of saved probes.

    Args:
        model: The model that they were trained on.
        probes: The probes.
        template: Whether prompts go through the chat template.
        truncate: Cut texts longer than the model's context; sentences beyond it are not known.
        tokens_per_batch: Most tokens in one forward pass; None chooses by device.

    Returns:
        What labels sentences. A sentence of which the read takes no token is not known.

    Raises:
        InputError: The probes do not fit the model.
    """
    probes.check(model)
    layers = sorted(set(probes.best_layers.values()))

    def labels(documents: Sequence[SegmentedTrace]) -> Iterator[SentenceLabels]:
        for begin in range(0, len(documents), N_TOGETHER):
            yield from _labels_of(documents[begin : begin + N_TOGETHER])

    def _labels_of(documents: Sequence[SegmentedTrace]) -> Iterator[SentenceLabels]:
        # Ids that are places: a caller's may repeat. A span's label is the place of its sentence.
        traces = [
            replace(
                document.trace,
                id=str(place),
                spans=tuple(Span(*sentence, str(number)) for number, sentence in enumerate(document.sentences)),
            )
            for place, document in enumerate(documents)
        ]
        known: dict[tuple[str, str], str] = {}
        if any(trace.spans for trace in traces):
            activations = collect(
                model,
                [trace for trace in traces if trace.spans],
                layers=layers,
                read=probes.read,
                sites=probes.site,
                template=template,
                truncate=truncate,
                tokens_per_batch=tokens_per_batch,
                progress=False,
            )
            scores = torch.stack(
                [
                    probes.score(activations.layer(probes.best_layers[behaviour]), behaviour)
                    for behaviour in probes.behaviours
                ]
            )  # (n_behaviours, n_sentences)
            best, chosen = scores.max(dim=0)
            for example, score, index in zip(activations.examples, best.tolist(), chosen.tolist(), strict=True):
                known[example.trace, example.label] = probes.behaviours[index] if score > 0 else NO_BEHAVIOUR
        for place, document in enumerate(documents):
            yield SentenceLabels(
                tuple(known.get((str(place), str(number))) for number in range(len(document.sentences)))
            )

    return labels
