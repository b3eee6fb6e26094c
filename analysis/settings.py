"""Define the settings of `locate`, and its default directory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..activations import Read
from ..activations.layers import layer_numbers
from ..models.precision import precision_of
from ..probes.folds import check_sizes
from ..probes.solver import method_named
from ..rundir import brief, is_there, names_of, short_name, text_of, truth_of
from ..traces import Template
from ..vectors import Against


@dataclass(frozen=True, kw_only=True)
class LocateSettings:
    """Settings of `locate`: layers, read, directions, probes and controls."""

    layers: str | Sequence[int] = "all"  # 0-based blocks, or a text such as "0,4,10:20:2"
    read: str = "mean"  # which tokens of a span: mean, first, last, before:N, window:A:B
    template: Template = "auto"  # whether the prompt goes through the chat template
    truncate: bool = False  # cut texts longer than the context instead of refusing them
    dtype: str | None = None  # number format that a named model is loaded in; None: as `load` chooses
    behaviours: tuple[str, ...] | None = None  # labels to probe; None means all; spans of others are negatives
    against: Against = "others"  # what a mean difference is taken against
    rescale: bool = False  # give every direction the norm of the overall mean activation
    n_folds: int = 5  # none divides a problem
    n_bootstrap: int = 1000  # resamples of the problems for every interval
    n_shuffles: int = 5  # repetitions of the shuffled-label control
    estimator: str = "logistic"  # kind of probe: logistic, ridge, lda, mean-difference
    penalties: tuple[float, ...] | None = None  # to choose from on inner folds, strongest first; None: the kind's own
    n_permutations: int = 200  # of the labels, for p-values
    next_behaviour: bool = True  # also probe the last token before each span for its behaviour
    injection: bool = True  # also put tell-tale words before plain sentences, and count what fires
    sites_of: str | None = None  # a behaviour that is also probed at every site of each block
    seed: int = 0  # of folds, shuffles, permutations and bootstrap

    __repr__ = brief

    def __post_init__(self) -> None:
        if not isinstance(self.layers, str):
            object.__setattr__(self, "layers", layer_numbers(self.layers))
        Read.parse(self.read)
        if self.dtype is not None:
            precision_of(self.dtype)
        if self.behaviours is not None:
            object.__setattr__(self, "behaviours", names_of(self.behaviours, "behaviours"))
        check_sizes(self.n_folds, self.n_bootstrap, self.seed, self.n_shuffles, self.n_permutations)
        if self.penalties is not None:
            object.__setattr__(self, "penalties", method_named(self.estimator).penalties_of(self.penalties))
        method_named(self.estimator)
        if self.sites_of is not None:
            text_of(self.sites_of, "sites_of")
        truth_of(self.injection, "injection")
        truth_of(self.next_behaviour, "next_behaviour")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> LocateSettings:
        """Build settings from plain values: the inverse of `asdict`.

        Args:
            content: Settings as read from JSON, with lists for tuples.

        Returns:
            The settings.
        """
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        return cls(**settings)


def default_out(model: str, traces: str, settings: LocateSettings) -> Path:
    """Name the directory of a run without `out`: one for each model, traces and settings.

    Args:
        model: Name or path of the model.
        traces: Name or path of the traces.
        settings: Settings that differ from the defaults add a digest to the name.

    Returns:
        A path under `runs`.
    """
    usual = asdict(LocateSettings())
    changed = {key: value for key, value in asdict(settings).items() if value != usual[key]}
    suffix = f"-{hashlib.sha256(repr(changed).encode()).hexdigest()[:6]}" if changed else ""
    path = Path(model)
    name = (path.name.removesuffix(".gguf") if is_there(path) else model).replace("/", "--")
    return Path("runs") / short_name(f"locate-{name}-{Path(traces).name.removesuffix('.jsonl')}{suffix}")
