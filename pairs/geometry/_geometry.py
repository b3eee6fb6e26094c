"""How alike a base and a thinking model are inside, and which weights carry the difference.

Texts of both are read by both. Directions, subspaces, probes and layers are compared, each with a null; parts of the
thinking model's weights are put into the base. Each part is kept as soon as it is measured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from ...models._load import ModelLike
from ...models.grafting import check_graftable
from ...rundir import InputError, RunDirectory, from_row, read_json, settings_of, to_row
from ...rundir.atomic import write_json
from ...rundir.progress import with_progress
from ...vectors import mean_difference_directions
from ..measuring import measure_each, pairs_to_measure
from ..opening import TRAINED_ORGANISMS, Problems
from ..pair import Pair
from .contrasts import LayerContrasts, layer_contrasts
from .cosines import DirectionCosine, direction_cosines
from .grafts import Grafts, measure_grafts
from .pair_geometry import PairGeometry, PromotedToken
from .probe_transfer import ProbeTransfer, probe_transfers
from .result import GeometryResult
from .settings import PARTS, GeometrySettings
from .similarity import LayerSimilarity, layer_similarities
from .subspaces import SubspaceOverlap, subspace_overlap
from .texts import PairActivations, activations_of

logger = logging.getLogger(__name__)

Measured = TypeVar("Measured")


def geometry(
    base: ModelLike | None = None,
    thinking: ModelLike | Sequence[ModelLike] = TRAINED_ORGANISMS,
    problems: Problems | None = None,
    *,
    pairs: Sequence[Pair] | None = None,
    settings: GeometrySettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> GeometryResult:
    """Compare a base and models trained from it inside, and put parts of their weights into the base.

    Args:
        base: Model without the training; None: of each organism the base that it was trained from.
        thinking: Model with it, or several: each makes a pair with the base.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        pairs: What is measured in place of all these (`question_pair`, `organism_pair`).
        settings: Which parts, and on how much; default `GeometrySettings()`.
        out: Directory for results.json, table.csv, report.html, all responses and activations; the same call goes on
            there where it was cut off, also with other parts. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        The parts of each pair, with intervals over problems and nulls.

    Raises:
        InputError: Models, problems or settings cannot be used, a part that is asked for is not possible with these
            models, or `out` holds another run or is being written.
    """
    chosen = settings_of(settings, GeometrySettings)
    opened = pairs_to_measure(base, thinking, problems, pairs, chosen, device)
    for pair in opened:
        reasons = impossible(pair)
        for part in chosen.parts or ():
            if part in reasons:
                raise InputError(f"{pair.name}: no {part}: {reasons[part]}; leave it out of the parts (--parts)")
    return measure_each(
        "geometry",
        opened,
        chosen,
        out,
        lambda pair, run: _of_pair(pair, chosen, run, progress),
        lambda measured: GeometryResult(pairs=measured, settings=chosen),
        changeable=("parts",),
    )


def impossible(pair: Pair) -> dict[str, str]:
    """Find the parts that the models of a pair do not allow.

    Args:
        pair: The models.

    Returns:
        Part -> why not.
    """
    base, thinking = pair.base, pair.thinking
    reasons: dict[str, str] = {}
    if base.d_model != thinking.d_model:
        width = f"{base.name} is {base.d_model} wide and {thinking.name} {thinking.d_model}"
        reasons |= dict.fromkeys(("cosines", "angles", "transfer"), f"{width}, so their directions cannot be compared")
    elif base.n_layers != thinking.n_layers:
        depth = f"{base.name} has {base.n_layers} blocks and {thinking.name} {thinking.n_layers}"
        reasons["transfer"] = f"{depth}, so no probe has a layer of its own in the other model"
    try:
        check_graftable(base, thinking)
    except InputError as error:
        reasons["grafts"] = str(error)
    return reasons


class _Measuring:
    """One pair at work; what several parts need is made once."""

    def __init__(self, pair: Pair, settings: GeometrySettings, run: RunDirectory, progress: bool) -> None:
        self.pair, self.settings, self.run, self.progress = pair, settings, run, progress

    @cached_property
    def activations(self) -> PairActivations:
        return activations_of(self.pair, self.settings, self.run, self.progress)

    @cached_property
    def contrasts(self) -> list[tuple[tuple[int, int], LayerContrasts]]:
        layers = with_progress(
            self.activations.layer_pairs, desc="resampling problems", unit="layer", progress=self.progress
        )
        chosen = self.settings
        options = {"n_resamples": chosen.n_resamples, "n_shuffles": chosen.n_shuffles, "seed": chosen.seed}
        return [(pair, layer_contrasts(self.activations, pair, **options)) for pair in layers]

    @property
    def draws(self) -> dict[str, int]:
        return {
            "n_problems": self.activations.n_problems,
            "n_random": self.settings.n_random,
            "seed": self.settings.seed,
        }

    def cosines(self) -> list[DirectionCosine]:
        return [
            one
            for layers, contrasts in self.contrasts
            for one in direction_cosines(contrasts, self.activations.behaviours, layers, **self.draws)
        ]

    def angles(self) -> list[SubspaceOverlap]:
        return [subspace_overlap(contrasts, layers, **self.draws) for layers, contrasts in self.contrasts]

    def transfer(self) -> list[ProbeTransfer]:
        return probe_transfers(self.activations, self.settings, progress=self.progress)

    def cka(self) -> list[LayerSimilarity]:
        return layer_similarities(
            self.activations, n_shuffles=self.settings.n_shuffles, seed=self.settings.seed, progress=self.progress
        )

    def tokens(self) -> list[PromotedToken]:
        promoted: list[PromotedToken] = []
        models = {"base": self.pair.base, "thinking": self.pair.thinking}
        for role, model in models.items():
            activations: Any = getattr(self.activations, role)
            directions = mean_difference_directions(activations, behaviours=self.activations.behaviours)
            frame = directions.top_tokens(model, n=self.settings.n_tokens, seed=self.settings.seed)
            promoted += [from_row(PromotedToken, {"model": role, **row}) for row in _records(frame)]
        return promoted

    def grafts(self) -> list[Grafts]:
        return [measure_grafts(self.pair, self.settings, self.run, self.progress)]

    def part(self, name: str, kind: type[Measured], make: Callable[[], list[Measured]]) -> tuple[Measured, ...]:
        """Measure a part, or read what an earlier call of the run measured."""

        def read(path: Path) -> list[Measured]:
            return [from_row(kind, row) for row in read_json(path, f"the {name} of a pair")["rows"]]

        def save(rows: Iterable[Measured], path: Path) -> None:
            write_json(path, {"rows": [to_row(row) for row in rows]})

        return tuple(self.run.once(f"parts/{name}.json", make=make, save=save, open=read))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """List the rows of a table by the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _of_pair(pair: Pair, settings: GeometrySettings, run: RunDirectory, progress: bool) -> PairGeometry:
    at_work = _Measuring(pair, settings, run, progress)
    reasons = impossible(pair)
    for part, reason in reasons.items() if settings.parts is None else ():
        logger.info(f"{pair.name}: no {part}: {reason}")
    parts = [part for part in settings.parts or PARTS if part not in reasons]

    def measured(name: str, kind: type[Measured], make: Callable[[], list[Measured]]) -> tuple[Measured, ...]:
        return at_work.part(name, kind, make) if name in parts else ()

    reads = bool(set(parts) - {"grafts"})
    grafts = measured("grafts", Grafts, at_work.grafts)
    return PairGeometry(
        base=pair.base.name,
        thinking=pair.thinking.name,
        n_problems=at_work.activations.n_problems if reads else 0,
        n_spans=len(at_work.activations.base.examples) if reads else 0,
        cosines=measured("cosines", DirectionCosine, at_work.cosines),
        overlaps=measured("angles", SubspaceOverlap, at_work.angles),
        transfers=measured("transfer", ProbeTransfer, at_work.transfer),
        similarities=measured("cka", LayerSimilarity, at_work.cka),
        tokens=measured("tokens", PromotedToken, at_work.tokens),
        grafts=grafts[0] if grafts else None,
        left_out=reasons if settings.parts is None else {},
    )
