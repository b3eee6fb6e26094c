"""Settings of a geometry."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ...generation import Sampling
from ...probes.solver import METHODS
from ...rundir import InputError, brief, did_you_mean, entry_of, whole_number

PARTS = ("cosines", "angles", "transfer", "cka", "tokens", "grafts")


@dataclass(frozen=True, kw_only=True)
class GeometrySettings:
    """Hold what is measured, and on how much.

    Attributes:
        parts: Of `cosines`, `angles`, `transfer`, `cka`, `tokens` and `grafts`, all of which must be possible; None:
            those that are.
        sampling: Of texts and of grafts; the first response of each model to each question is a text.
        n_test: Problems, at most.
        layers: Blocks that are read and grafted, as `--layers` has them.
        read: Tokens of a span that are averaged, as `--read` has them.
        estimator: Kind of probe that is transferred.
        n_folds: Folds of probes; none divides a problem.
        n_resamples: Resamples of the problems for intervals of directions, subspaces and probes.
        n_shuffles: Shuffles of labels, and of spans.
        n_random: Random directions and subspaces.
        n_controls: Draws of the control of each graft.
        n_tokens: Tokens each way.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        seed: Of all draws.
    """

    parts: tuple[str, ...] | None = None
    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    n_test: int = 100
    layers: str = "all"
    read: str = "mean"
    estimator: str = "logistic"
    n_folds: int = 5
    n_resamples: int = 300
    n_shuffles: int = 20
    n_random: int = 1000
    n_controls: int = 1
    n_tokens: int = 5
    n_rows: int = 250
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        for name in ("n_test", "n_resamples", "n_shuffles", "n_random", "n_controls", "n_tokens", "n_rows"):
            whole_number(getattr(self, name), name)
        entry_of(METHODS, self.estimator, "there is no kind of probe {}")
        if self.parts is None:
            return
        object.__setattr__(self, "parts", tuple(self.parts))
        for part in self.parts:
            if part not in PARTS:
                raise InputError(f"there is no part {part!r}; there are {', '.join(PARTS)}.{did_you_mean(part, PARTS)}")
        if not self.parts:
            raise InputError(f"parts names nothing; there are {', '.join(PARTS)}; give None for all that are possible")

    def quicker(self) -> GeometrySettings:
        """Return the same on a quarter of the problems, with ridge probes and three folds."""
        return replace(self, n_test=max(4, self.n_test // 4), estimator="ridge", n_folds=3)
