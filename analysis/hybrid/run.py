"""The whole experiment: parts from training problems, a choice on validation problems, every arm on test problems.

Under `out`, each pair has a folder: `grid.json`, and `arms/NAME.jsonl`, which grows by a batch of problems at a time: a
run that was cut off goes on at the batch where it stopped. Parts are made again, and are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from ...models import InputError
from ...traces.questions import Question
from ..effect.writing import encode_prompts
from ..run_directory import write_json
from .arms import Tuned, needs_thinking, plan_of
from .decode import Plan, decode
from .dose import recorded
from .kept import ArmFile
from .pair import Pair
from .record import RowRecord
from .settings import HybridSettings
from .training import Parts, train
from .tuning import tune


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmRun:
    """What one arm wrote on the test problems, several times over where it has seeds."""

    name: str
    records: tuple[tuple[RowRecord, ...], ...]  # one for each seed
    is_solved: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class PairRun:
    """One pair: what was made, chosen and written."""

    pair: Pair
    parts: Parts
    tuned: Tuned
    grid: pd.DataFrame
    arms: dict[str, ArmRun]


def run_pair(
    pair: Pair,
    settings: HybridSettings,
    *,
    out: Path | None = None,
    progress: bool = True,
    note: Callable[[str], None] = lambda _: None,
) -> PairRun:
    """Make, tune and measure a hybrid of `pair`. Raises InputError where its parts cannot be made."""
    layers = tuple(pair.base.layer_index(layer) for layer in settings.layers or usual_layers(pair.base.n_layers))
    note(f"{pair.name}: {pair.thinking.name} writes {len(pair.train)} rollouts; vectors and gates are made of them")
    parts = train(pair, layers, settings.rollout, seed=settings.seed, progress=progress, note=note)
    choice = None if out is None else out / "grid.json"
    if choice is not None and choice.is_file():
        known = json.loads(choice.read_text("utf-8"))
        tuned, grid = Tuned(**known["tuned"]), pd.DataFrame(known["grid"])
    else:

        def trial(arm: str, plan: Plan) -> tuple[list[RowRecord], Sequence[bool]]:
            return _decoded(pair, arm, plan, pair.validation, settings, range(len(pair.validation)))

        tuned, grid = tune(parts, layers, settings, trial)
        if choice is not None:
            write_json(
                choice,
                {"tuned": asdict(tuned), "grid": grid.astype(object).where(grid.notna(), None).to_dict("records")},
            )
    note(f"{pair.name}: layer {tuned.layer}, dose {tuned.dose:g}, probe threshold {tuned.threshold:g}")
    arms: dict[str, ArmRun] = {}
    for arm in settings.arms:
        if arm == "base-step-by-step" and pair.step_by_step is None:
            continue
        hybrid = arms.get("hybrid")
        options = _observed(hybrid)
        if arm == "shuffled-doses" and len(set(options["doses"])) < 2:
            continue  # the same as the hybrid
        seeds = range(settings.n_seeds) if arm == "random-vectors" else range(1)
        runs = []
        for seed in seeds:
            plan = plan_of(arm, parts, tuned, seed=seed + 1000 * settings.seed, **options)
            name = f"{arm}-{seed}" if len(seeds) > 1 else arm
            file = None if out is None else ArmFile(out / "arms" / f"{name}.jsonl")
            runs.append(_measured(pair, arm, name, plan, settings, file, progress))
        arms[arm] = ArmRun(
            name=arm,
            records=tuple(tuple(records) for records, _ in runs),
            is_solved=tuple(tuple(solved) for _, solved in runs),
        )
    return PairRun(pair=pair, parts=parts, tuned=tuned, grid=grid, arms=arms)


def usual_layers(n_layers: int) -> list[int]:
    """A quarter, a half and three quarters of the way up."""
    return sorted({max(round(n_layers * share) - 1, 0) for share in (0.25, 0.5, 0.75)})


def _observed(hybrid: ArmRun | None) -> dict[str, Any]:
    """What controls are matched to: the share of tokens that the hybrid steered, and its doses."""
    if hybrid is None:
        return {"rate": 0.0, "doses": []}
    records = hybrid.records[0]
    n_tokens = max(sum(each.n_tokens for each in records), 1)
    return {"rate": sum(each.n_gated for each in records) / n_tokens, "doses": recorded(records)}


def _measured(
    pair: Pair, arm: str, name: str, plan: Plan, settings: HybridSettings, file: ArmFile | None, progress: bool
) -> tuple[list[RowRecord], list[bool]]:
    records, solved = ([], []) if file is None else file.known()
    with tqdm(
        total=len(pair.test), initial=len(records), desc=f"{pair.name}: {name}", unit="problem", disable=not progress
    ) as bar:
        while len(records) < len(pair.test):
            numbers = range(len(records), min(len(records) + settings.n_rows, len(pair.test)))
            part, right = _decoded(pair, arm, plan, [pair.test[number] for number in numbers], settings, numbers)
            if file is not None:
                file.add(part, right)
            records += part
            solved += right
            bar.update(len(part))
    if len(records) > len(pair.test):
        raise InputError(f"more answers are kept for {name} than there are problems; choose another --out")
    return records, solved


def _decoded(
    pair: Pair,
    arm: str,
    plan: Plan,
    questions: Sequence[Question],
    settings: HybridSettings,
    numbers: Sequence[int],
) -> tuple[list[RowRecord], list[bool]]:
    asked = [each.prompt for each in questions]
    if arm == "base-step-by-step":
        asked = [f"{each}{pair.step_by_step}" for each in asked]
    own = encode_prompts(pair.base, asked, pair.base_template)
    led = encode_prompts(pair.thinking, [each.prompt for each in questions], pair.thinking_template)
    records = decode(
        pair.base,
        pair.thinking if needs_thinking(arm) else None,
        own,
        led,
        plan,
        settings.sampling,
        seed=settings.seed,
        n_rows=settings.n_rows,
        numbers=list(numbers),
    )
    return records, [pair.grader(each, record.text) for each, record in zip(questions, records, strict=True)]
