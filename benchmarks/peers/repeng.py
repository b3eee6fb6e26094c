"""repeng: `batched_get_hiddens`, which reads the last token of each text (sorted by length here, which helps it)."""

from __future__ import annotations

from collections.abc import Callable

from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], None]:
    import repeng.extract

    repeng.extract.tqdm.tqdm = lambda iterable, **_: iterable
    model, tokenizer = spec.model(), spec.tokenizer()
    tokenizer.padding_side = "right"

    def run(workload: Workload) -> None:
        texts = sorted(workload.texts, key=len)
        repeng.extract.batched_get_hiddens(
            model, tokenizer, texts, list(range(model.config.num_hidden_layers)), batch_size=4
        )

    return run
