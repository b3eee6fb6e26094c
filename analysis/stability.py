"""Stability of boundaries: whether a labelled behaviour returns when the model goes on from before it.

1. A boundary is the place before a labelled span; its prefix are the token ids of prompt and text up to there.
2. The model continues the prefix several times; each continuation counts up to the end of its first sentence.
3. An annotator says which behaviour that is (`boundary.py`).
4. The boundary is stable if the share of continuations that show its behaviour again reaches a threshold.

A frequent behaviour returns by chance. So beside each behaviour stands how often it comes at the boundaries of others.
And an annotator that would not have given a span its label cannot see it return: `is_seen` says where it would.

(Zhuang et al. 2026, arXiv 2604.02113: ten continuations at temperature 0.7 and top p 0.95, stable from 8 of 10; of 541
boundaries found by keywords 93.3% were not.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..generation import Sampling
from ..models import load
from ..models._load import ModelLike
from ..rundir import InputError
from ..rundir.progress import with_progress
from ..stats import Interval, ratio_over_groups, wilson_proportion
from ..traces import (
    Annotator,
    Span,
    Template,
    Trace,
    digest,
    keyword_annotator,
)
from .boundary import Boundary, prefix_of, sample_boundary
from .boundary_log import open_log

STABLE = 0.5  # share of continuations from which a boundary counts as stable; the published choice is 0.8 of ten
Place = tuple[int, int]  # number of the trace, number of the span in it
UNKNOWN = Interval(float("nan"))


@dataclass(frozen=True, eq=False, kw_only=True)
class Stability:
    """What `boundary_stability` found."""

    boundaries: tuple[Boundary, ...]  # those that were sampled, in the order of the traces
    traces: tuple[Trace, ...]  # all that were given
    model: dict[str, Any]  # LanguageModel.identity()
    settings: dict[str, Any]

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The labels of the boundaries, by name."""
        return tuple(sorted({boundary.label for boundary in self.boundaries}))

    def to_frame(self) -> pd.DataFrame:
        """One row for each boundary: where it is, its label, and how often its behaviour returned."""
        columns = ("trace", "problem", "span", "label", "is_seen", "n_samples", "n_returned", "share")
        return pd.DataFrame([{name: getattr(each, name) for name in columns} for each in self.boundaries])

    def summary(self, threshold: float = STABLE) -> pd.DataFrame:
        """One row for each behaviour, all figures with 95% intervals (`_low`, `_high`).

        share_stable: of its boundaries. base_stable: of the boundaries of all others, those that would be stable for
        this behaviour. Both have Wilson intervals, which take boundaries as independent. return_rate: of the
        continuations at its boundaries, those that show it. base_rate: of the continuations at the boundaries of all
        others. Both have intervals over resampled problems. What comes by chance is NaN where no other behaviour was
        sampled. n_seen: boundaries whose label the annotator sees in the trace's own words.
        """
        check_threshold(threshold)
        return pd.DataFrame([self._summary_of(behaviour, threshold) for behaviour in self.behaviours])

    def stable(self, threshold: float = STABLE) -> list[Trace]:
        """The traces with the stable spans only; `threshold` is the share from which a boundary is stable.

        Spans of the sampled behaviours that were not stable, or not sampled, are left out. Those of behaviours that
        were not sampled at all stay. A trace stays too when no span is left in it.
        """
        check_threshold(threshold)
        return self._with_spans(each for each in self.boundaries if each.share >= threshold)

    def sampled(self) -> list[Trace]:
        """The same with every span that was sampled: what `stable` is to be compared with."""
        return self._with_spans(self.boundaries)

    def _with_spans(self, boundaries: Iterable[Boundary]) -> list[Trace]:
        kept, behaviours = {(each.trace, each.span) for each in boundaries}, self.behaviours

        def spans(trace: Trace) -> Iterator[Span]:
            for number, span in enumerate(trace.spans):
                if span.label not in behaviours or (trace.id, number) in kept:
                    yield span

        return [replace(trace, spans=tuple(spans(trace))) for trace in self.traces]

    def _summary_of(self, behaviour: str, threshold: float) -> dict[str, Any]:
        own = [each for each in self.boundaries if each.label == behaviour]
        others = [each for each in self.boundaries if each.label != behaviour]
        figures = {
            "share_stable": _share_stable(own, behaviour, threshold),
            "base_stable": _share_stable(others, behaviour, threshold),
            "return_rate": _rate(own, behaviour),
            "base_rate": _rate(others, behaviour),
        }
        row: dict[str, Any] = {
            "behaviour": behaviour,
            "n_boundaries": len(own),
            "n_problems": len({each.problem for each in own}),
            "n_seen": sum(each.is_seen for each in own),
            "n_stable": sum(each.share >= threshold for each in own),
            "n_others": len(others),
        }
        for name, figure in figures.items():
            row |= figure.columns(name)
        return row


def boundary_stability(
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
    out: str | Path | None = None,
    progress: bool = True,
) -> Stability:
    """Sample the model again at the labelled boundaries of `traces`, and see whether the behaviour returns.

    behaviours: whose boundaries; default all. Of one alone nothing tells what comes by chance. n_samples:
    continuations of each. temperature, top_p: the published choice, near which such models are usually run; at 1 the
    unlikely tail of a small model counts against every boundary, at 0 one greedy continuation decides.
    max_new_tokens: few sentences are longer, and a longer one is labelled by how it begins. annotator: says what a
    continuation does; the default goes by words, `organism_annotator` knows. max_boundaries: at most so many, drawn
    with `seed` and spread evenly over the behaviours. out: a file to which every boundary is added as it is done; the
    same call goes on from it, and so does one that asks for other behaviours or more boundaries.

    Boundaries with nothing before them, and those that were truncated away, are left out. Raises InputError when no
    boundary is left, when traces share an id, and when `out` holds boundaries that were sampled in another way.
    """
    sampling = Sampling(n_samples=n_samples, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens)
    chosen = _chosen(traces, behaviours, max_boundaries, seed)
    loaded = load(model)
    settings = asdict(sampling) | {
        "seed": seed,
        "template": template,
        "annotator": f"{annotator.__module__}.{getattr(annotator, '__qualname__', type(annotator).__qualname__)}",
    }
    header = {"model": loaded.identity(), "traces": digest(traces)} | settings
    boundaries = []
    with nullcontext() if out is None else open_log(Path(out), header) as log:
        for number, span in with_progress(chosen, desc="sampling boundaries", unit="boundary", progress=progress):
            trace = traces[number]
            row = log.rows.get((trace.id, span)) if log else None
            if row is not None:
                boundaries.append(Boundary.of_row(row))
                continue
            prefix = prefix_of(loaded, trace, span, template, truncate)
            if prefix is None:
                continue
            # A seed of its own for every boundary: which others are sampled changes nothing.
            own_seed = int(np.random.SeedSequence((seed, number, span)).generate_state(1)[0])
            boundaries.append(sample_boundary(loaded, trace, span, prefix, sampling, annotator, own_seed))
            if log:
                log.append(asdict(boundaries[-1]))
    if not boundaries:
        raise InputError("no boundary can be sampled: every span was truncated away or has nothing before it")
    return Stability(boundaries=tuple(boundaries), traces=tuple(traces), model=loaded.identity(), settings=settings)


def check_threshold(threshold: float) -> None:
    """Raises InputError for what is no share of continuations above 0."""
    if not 0 < threshold <= 1:
        raise InputError(f"a threshold is a share of the continuations, above 0 and up to 1, and {threshold} is not")


def _chosen(
    traces: Sequence[Trace], behaviours: Sequence[str] | None, max_boundaries: int | None, seed: int
) -> list[Place]:
    """The boundaries to sample, in the order of the traces; of fewer than all, as many of each behaviour as may be."""
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


def _share_stable(boundaries: Sequence[Boundary], behaviour: str, threshold: float) -> Interval:
    if not boundaries:
        return UNKNOWN
    return wilson_proportion(np.array([float(each.share_of(behaviour) >= threshold) for each in boundaries]))


def _rate(boundaries: Sequence[Boundary], behaviour: str) -> Interval:
    """The share of all continuations that show the behaviour, with an interval over problems."""
    if not boundaries:
        return UNKNOWN
    _, problem = np.unique([each.problem for each in boundaries], return_inverse=True)
    return ratio_over_groups(
        np.bincount(problem, [each.found.count(behaviour) for each in boundaries]),
        np.bincount(problem, [each.n_samples for each in boundaries]),
    )
