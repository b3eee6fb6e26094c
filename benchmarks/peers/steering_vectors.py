"""steering-vectors: `extract_activations` of the last token of both texts of a pair."""

from __future__ import annotations

from collections.abc import Callable

from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], None]:
    from steering_vectors.train_steering_vector import extract_activations

    model, tokenizer = spec.model(), spec.tokenizer()
    tokenizer.padding_side = "left"

    def run(workload: Workload) -> None:
        texts = sorted(workload.texts, key=len)
        pairs = list(zip(texts[::2], texts[1::2], strict=True))
        extract_activations(model, tokenizer, pairs, batch_size=4)

    return run
