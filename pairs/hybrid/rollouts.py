"""What the thinking model, or the base by itself, writes on the training problems, its sentences labelled."""

from __future__ import annotations

import logging
from typing import Any

from ...generation.writing import Written, encode_prompts, write
from ...rundir import columns_of, from_row, to_row
from ...traces import Trace, encode
from ...vectors.extraction.prefix_cache import texts_that_fit
from .behaviour_probe import Whose
from .experiment import KEY, Experiment

logger = logging.getLogger(__name__)


def labelled_rollouts(experiment: Experiment, whose: Whose = "thinking") -> list[Trace]:
    """Let a model answer the training problems, each once, and label what it writes.

    Args:
        experiment: Its directory keeps the texts in `rollouts.jsonl`, those of the base in `base-rollouts.jsonl`,
            batch by batch.
        whose: Which model writes, after its own prompt.

    Returns:
        The rollouts that hold any text, with the annotator's spans.
    """
    pair, settings = experiment.pair, experiment.settings
    is_base = whose == "base"
    model, template = (pair.base, pair.base_template) if is_base else (pair.thinking, pair.thinking_template)
    log = experiment.directory.log(
        "base-rollouts.jsonl" if is_base else "rollouts.jsonl",
        about={"pair": pair.name, "written_by": model.name, "problems": pair.digest},
        key=KEY,
        columns={KEY: int, **columns_of(Written)},
    )
    prompts = encode_prompts(model, [question.prompt for question in pair.train], template)

    def write_some(numbers: range) -> list[dict[str, Any]]:
        texts = write(
            model,
            [prompts[number] for number in numbers],
            settings.rollout,
            seed=settings.seed,
            n_rows=settings.n_rows,
            numbers=numbers,
        )
        return [{KEY: number} | to_row(text) for number, text in zip(numbers, texts, strict=True)]

    rows = experiment.answer_once(
        log, len(prompts), write_some, desc="the base's rollouts" if is_base else "rollouts", is_many="rollouts"
    )
    traces = []
    for number, (question, row) in enumerate(zip(pair.train, rows, strict=True)):
        text = from_row(Written, row).text
        spans = tuple(pair.annotator(question.prompt, text))
        traces.append(Trace(f"rollout-{number}", question.prompt, text, spans, question.problem))
    return [trace for trace in traces if trace.text.strip()]


def rollouts_with_room(experiment: Experiment, rollouts: list[Trace]) -> list[Trace]:
    """Draw as many rollouts as the cache of the settings has room for, for the base's keys and values of them.

    Args:
        experiment: `cache_gigabytes` of its settings is the room.
        rollouts: To draw from.

    Returns:
        All of them where there is room, else those drawn, in their order.
    """
    pair, settings = experiment.pair, experiment.settings
    lengths = [len(encoded) for encoded in encode(pair.base, rollouts, template=pair.base_template, truncate=True)]
    chosen = [
        rollouts[number] for number in texts_that_fit(pair.base, lengths, settings.cache_gigabytes, settings.seed)
    ]
    if len(chosen) < len(rollouts):
        logger.info(
            f"{pair.name}: {len(chosen)} rollouts are used, as many as {settings.cache_gigabytes:g} GB have room for"
        )
    return chosen
