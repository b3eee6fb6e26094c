"""Sample boundaries: choose some of the labelled ones, give each a seed of its own, and log a row for each.

A boundary is the place before a labelled span; its prefix is the token ids of prompt and text up to there. The model
continues the prefix several times, each continuation is cut after its first sentence, and an annotator labels the
behaviour of that sentence (`boundary.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from ..generation import Sampling
from ..models import load
from ..models._load import ModelLike
from ..rundir import InputError, RowLog, callable_name, columns_of, from_row, to_row
from ..rundir.progress import with_progress
from ..traces import Annotator, Template, Trace, TraceSource, keyword_annotator, resolve_traces
from .boundary import Boundary, prefix_of, sample_boundary
from .stability_result import Stability

Place = tuple[int, int]  # number of the trace, number of the span in it
KEY = ("trace", "span")
COLUMNS = columns_of(Boundary)


def sample_boundaries(
    model: ModelLike,
    traces: TraceSource,
    *,
    behaviours: Sequence[str] | None = None,
    n_samples: int = 4,
    temperature: float = 0.7,
    top_p: float = 0.95,
    max_new_tokens: int = 32,
    annotator: Annotator = keyword_annotator,
    max_boundaries: int | None = None,
    seed: int = 0,
    template: Template = "auto",
    truncate: bool = False,
    log: RowLog | None = None,
    progress: bool = True,
) -> Stability:
    """Continue traces from their labelled boundaries, and label whether the behaviour returns.

    Boundaries without text before them are left out, and so are those in the part of a text that was truncated.

    Args:
        model: The model that continues, or its name or path.
        traces: "bundled", a file, or labelled traces (objects, or dictionaries as in the file), each with its own
            id.
        behaviours: Labels whose boundaries are sampled; None means all. With one alone, chance cannot be estimated.
        n_samples: Continuations of each boundary.
        temperature: Temperature of sampling; 0 gives one greedy continuation. At 1 a small model samples many unlikely
            tokens, which makes every boundary less stable.
        top_p: Share of the probability that sampling is restricted to.
        max_new_tokens: Most tokens of a continuation. Few sentences are longer; a longer one is labelled by its
            beginning.
        annotator: Labels the continuations; the default goes by tell-tale words, `organism_annotator` is exact for
            organisms.
        max_boundaries: Most boundaries to sample, chosen at random and spread evenly over the behaviours; None means
            all.
        seed: Seed of the choice of boundaries and of sampling, 0 to 2**32 - 1.
        template: Whether prompts go through the chat template.
        truncate: Cut texts longer than the model's context instead of refusing them.
        log: Rows by trace and span (`KEY`, `COLUMNS`): boundaries in it are not sampled again, others are added.
        progress: Show a progress bar.

    Returns:
        The sampled boundaries, in the order of the traces.

    Raises:
        InputError: No boundary is left, or traces share an id.
    """
    sampling = Sampling(n_samples=n_samples, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens)
    traces = resolve_traces(traces)
    chosen = chosen_boundaries(traces, behaviours, max_boundaries, seed)
    loaded = load(model)
    rows = RowLog(None, about={}, key=KEY, columns=COLUMNS) if log is None else log
    boundaries = []
    for number, span in with_progress(chosen, desc="sampling boundaries", unit="boundary", progress=progress):
        trace = traces[number]
        if (trace.id, span) not in rows:
            prefix = prefix_of(loaded, trace, span, template, truncate)
            if prefix is None:
                continue
            # Each boundary has its own seed, so that its samples do not depend on which others are sampled.
            own_seed = int(np.random.SeedSequence((seed, number, span)).generate_state(1)[0])
            rows.add([to_row(sample_boundary(loaded, trace, span, prefix, sampling, annotator, own_seed))])
        boundaries.append(from_row(Boundary, rows[trace.id, span]))
    if not boundaries:
        raise InputError("no boundary can be sampled: every span was truncated away or has nothing before it")
    return Stability(
        boundaries=tuple(boundaries),
        traces=tuple(traces),
        model=loaded.identity(),
        settings=asdict(sampling) | {"seed": seed, "template": template, "annotator": callable_name(annotator)},
    )


def chosen_boundaries(
    traces: Sequence[Trace], behaviours: Sequence[str] | None, max_boundaries: int | None, seed: int
) -> list[Place]:
    """Choose the boundaries to sample, at random and spread evenly over the behaviours.

    Args:
        traces: Labelled traces, each with an id of its own.
        behaviours: Labels whose boundaries are chosen; None means all.
        max_boundaries: Most boundaries to choose; None means all.
        seed: Seed of the choice, 0 to 2**32 - 1.

    Returns:
        Number of the trace and of the span in it, in the order of the traces.

    Raises:
        InputError: Two traces have the same id, no span is labelled, or a behaviour is no label.
    """
    if len({trace.id for trace in traces}) < len(traces):
        raise InputError("two traces have the same id; give every trace an id of its own")
    if not 0 <= seed < 2**32:
        raise InputError(f"a seed must lie between 0 and 4294967295, and {seed} does not")
    if max_boundaries is not None and max_boundaries < 1:
        raise InputError(f"at least one boundary must be sampled, not {max_boundaries}")
    places: dict[str, list[Place]] = {}
    for number, trace in enumerate(traces):
        for index, span in enumerate(trace.spans):
            places.setdefault(span.label, []).append((number, index))
    if not places:
        raise InputError(
            "the traces hold no labelled span; label some: reasonlens label FILE --by keywords --out labelled.jsonl"
        )
    for behaviour in behaviours or ():
        if behaviour not in places:
            raise InputError(f"no span is labelled {behaviour!r}; the labels are {', '.join(sorted(places))}")
    generator = np.random.default_rng(seed)
    ranked = [
        (rank, places[label][index])
        for label in sorted(places)
        for rank, index in enumerate(generator.permutation(len(places[label])).tolist())
        if behaviours is None or label in behaviours
    ]
    ranked.sort(key=lambda pair: pair[0])  # stable: the behaviours take turns
    return sorted(place for _, place in ranked[:max_boundaries])
