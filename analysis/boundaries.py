"""Sampling of boundaries: which of the labelled ones, each with a seed of its own, a row for each in a log.

A boundary is the place before a labelled span; its prefix are the token ids of prompt and text up to there. The model
continues the prefix several times, each continuation counts up to the end of its first sentence, and an annotator says
which behaviour that is (`boundary.py`).
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
from ..traces import Annotator, Template, Trace, keyword_annotator
from .boundary import Boundary, prefix_of, sample_boundary
from .stability_result import Stability

Place = tuple[int, int]  # number of the trace, number of the span in it
KEY = ("trace", "span")
COLUMNS = columns_of(Boundary)


def sample_boundaries(
    model: ModelLike,
    traces: Sequence[Trace],
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
    """Sample the model again at the labelled boundaries of traces, and see whether the behaviour returns.

    Boundaries with nothing before them, and those that were truncated away, are left out.

    Args:
        model: Who goes on.
        traces: Labelled traces, each with an id of its own.
        behaviours: Whose boundaries; default all. Of one alone nothing tells what comes by chance.
        n_samples: Continuations of each boundary.
        temperature: Of sampling; 0: one greedy continuation decides. At 1 the unlikely tail of a small model counts
            against every boundary.
        top_p: Of sampling.
        max_new_tokens: Length of a continuation. Few sentences are longer, and a longer one is labelled by how it
            begins.
        annotator: Says what a continuation does; the default goes by words, `organism_annotator` knows.
        max_boundaries: At most so many, drawn with `seed` and spread evenly over the behaviours.
        seed: Of boundaries and sampling.
        template: Whether prompts go through the chat template.
        truncate: Cut texts longer than the model's context instead of refusing them.
        log: Boundaries that are known, by trace and span (`KEY`, `COLUMNS`); those that are sampled are added.
        progress: Whether a bar is shown.

    Raises:
        InputError: No boundary is left, or traces share an id.
    """
    sampling = Sampling(n_samples=n_samples, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens)
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
            # A seed of its own for every boundary: which others are sampled changes nothing.
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
    """Choose the boundaries to sample: of fewer than all, as many of each behaviour as may be.

    Returns:
        Number of the trace and of the span in it, in the order of the traces.

    Raises:
        InputError: Two traces share an id, there is nothing to choose, or a behaviour is no label.
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
        raise InputError("the traces hold no labelled span; label some (see docs/traces.md)")
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
