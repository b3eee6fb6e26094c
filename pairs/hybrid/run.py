"""The whole experiment: parts from training problems, a choice on validation problems, every arm on test problems.

Under `out`, each pair has a folder: what it is made of (rollouts, vectors, probes, coefficients), `grid.jsonl`, and
`arms/NAME.jsonl`, which grows by a batch of problems at a time. A run that was cut off goes on at the batch where it
stopped; one with other settings is refused there.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ...generation import end_tokens
from ...generation.vocabulary import same_tokens
from ...rundir import InputError, RunDirectory, write_json
from ...rundir.progress import ProgressBar
from ...traces.questions import Question
from ._decode import Plan, decode
from .arms import Tuned, needs_thinking, plan_of
from .kept import ArmFile, Lines, once
from .next_sentence import next_sentence
from .pair import Pair, check_lengths, encoded
from .parts import Parts
from .record import RowRecord
from .settings import HybridSettings
from .steered_trace import SteeredTrace
from .strength import recorded
from .training import BIAS, add_network, train
from .tuning import tune, tune_network

logger = logging.getLogger(__name__)

FREE = ("arms", "n_seeds", "n_rows")  # settings that may change when a run is taken up again


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
    next_sentence: pd.DataFrame  # of `next_sentence.py`
    arms: dict[str, ArmRun]

    def trace(self, number: int, arm: str = "hybrid") -> SteeredTrace:
        """What an arm wrote on test problem `number`, token by token; of several seeds the first."""
        if arm not in self.arms:
            raise InputError(f"{self.pair.name} has no arm {arm!r}; it has {', '.join(self.arms)}")
        if not 0 <= number < len(self.pair.test):
            raise InputError(f"{self.pair.name} has test problems 0 to {len(self.pair.test) - 1}, and {number} is none")
        run = self.arms[arm]
        return SteeredTrace.of(
            self.pair.base,
            run.records[0][number],
            question=self.pair.test[number].prompt,
            arm=arm,
            is_right=run.is_solved[0][number],
            behaviours=(BIAS,) if arm == "bias" else self.parts.behaviours,
        )


def run_pair(
    pair: Pair,
    settings: HybridSettings,
    *,
    out: Path | None = None,
    progress: bool = True,
) -> PairRun:
    """Make, tune and measure a hybrid of `pair`.

    Raises InputError where its parts cannot be made, and for an `out` that holds another experiment.
    """
    check_lengths(pair)
    with RunDirectory(out, "hybrid", settings=_told(pair, settings)) as directory:
        return _run_pair(directory, pair, settings, out, progress)


def _run_pair(
    directory: RunDirectory,
    pair: Pair,
    settings: HybridSettings,
    out: Path | None,
    progress: bool,
) -> PairRun:
    layers = tuple(pair.base.layer_index(layer) for layer in settings.layers or usual_layers(pair.base.n_layers))
    directory.record()
    parts = train(pair, layers, settings, out=out, progress=progress)

    def trial(arm: str, plan: Plan) -> tuple[list[RowRecord], Sequence[bool]]:
        return _decoded(pair, arm, plan, pair.validation, settings, range(len(pair.validation)))

    grid = None if out is None else Lines(out / "grid.jsonl")
    tuned, tried = tune(parts, layers, settings, trial, kept=grid, desc=f"{pair.name}: choosing", progress=progress)
    logger.info(f"{pair.name}: layer {tuned.layer}, strength {tuned.strength:g}, probe threshold {tuned.threshold:g}")
    arms = [arm for arm in settings.arms if arm != "base-step-by-step" or pair.step_by_step is not None]
    if "network-strength" in arms or "shuffled-strengths" in arms:
        arms, tuned, more = _with_network(pair, parts, arms, tuned, settings, trial, out, progress)
        tried = pd.concat([tried, more], ignore_index=True) if len(more) else tried
    decodable = once(
        None if out is None else out / "next_sentence.json",
        lambda: next_sentence(pair, parts.traces, tuned.layer, parts.behaviours, seed=settings.seed),
        lambda frame, path: write_json(path, plain(frame)),
        lambda path: pd.DataFrame(json.loads(path.read_text("utf-8"))),
    )
    found: dict[str, ArmRun] = {}
    for arm in arms:
        options = _observed(found, arm)
        if arm == "shuffled-strengths" and len(set(options["strengths"])) < 2:
            logger.info(f"{pair.name}: no arm shuffled-strengths, as all strengths are one")
            continue
        seeds = range(settings.n_seeds) if arm == "random-vectors" else range(1)
        runs = []
        for seed in seeds:
            plan = plan_of(arm, parts, tuned, settings, seed=seed + 1000 * settings.seed, **options)
            name = arm if arm != "random-vectors" else f"{arm}-{seed}"
            file = None if out is None else ArmFile(out / "arms" / f"{name}.jsonl")
            runs.append(_measured(pair, arm, name, plan, settings, file, progress))
        found[arm] = ArmRun(
            name=arm,
            records=tuple(tuple(records) for records, _ in runs),
            is_solved=tuple(tuple(solved) for _, solved in runs),
        )
    directory.finish()
    return PairRun(pair=pair, parts=parts, tuned=tuned, grid=tried, next_sentence=decodable, arms=found)


def forget(out: Path) -> None:
    """Remove what an earlier run has left in a folder of its own, and nothing else; run.json, which tells it, last."""
    if not (out / "run.json").is_file():
        return
    for each in out.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != "run.json":
            each.unlink()
    (out / "run.json").unlink()
    out.rmdir()


def usual_layers(n_layers: int) -> list[int]:
    """A quarter, a half and three quarters of the way up."""
    return sorted({max(round(n_layers * share) - 1, 0) for share in (0.25, 0.5, 0.75)})


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON has them, None for what is not known."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _told(pair: Pair, settings: HybridSettings) -> dict[str, Any]:
    """What another run must have in common to go on from this one."""
    asked = {name: value for name, value in asdict(settings).items() if name not in FREE}
    return asked | {
        "base": pair.base.identity(),
        "thinking": pair.thinking.identity(),
        "problems": pair.digest,
        "templates": [pair.base_template, pair.thinking_template],
    }


def _with_network(
    pair: Pair,
    parts: Parts,
    arms: list[str],
    tuned: Tuned,
    settings: HybridSettings,
    trial: Callable[[str, Plan], tuple[list[RowRecord], Sequence[bool]]],
    out: Path | None,
    progress: bool,
) -> tuple[list[str], Tuned, pd.DataFrame]:
    """The arms that can be run: those of the network only where it can be trained."""
    if settings.strength == "network":  # the hybrid is that arm
        return [arm for arm in arms if arm != "network-strength"], tuned, pd.DataFrame()
    try:
        add_network(pair, parts, tuned.layer, settings, out=out, progress=progress)
    except InputError as error:
        logger.info(f"{pair.name}: no network sets strengths: {error}")
        return [arm for arm in arms if arm != "network-strength"], tuned, pd.DataFrame()
    kept = None if out is None else Lines(out / "grid.jsonl")
    tuned, grid = tune_network(parts, tuned, settings, trial, kept=kept)
    return arms, tuned, grid


def _observed(found: dict[str, ArmRun], arm: str) -> dict[str, Any]:
    """What controls are matched to: the share of tokens that the hybrid steered, and its strengths."""
    hybrid = found.get("hybrid")
    if hybrid is None:
        return {"rate": 0.0, "strengths": []}
    records = hybrid.records[0]
    strengths = recorded(records)
    if arm == "shuffled-strengths" and len(set(strengths)) < 2 and "network-strength" in found:
        strengths = recorded(found["network-strength"].records[0])
    n_tokens = max(sum(each.n_tokens for each in records), 1)
    return {"rate": sum(each.n_gated for each in records) / n_tokens, "strengths": strengths}


def _measured(
    pair: Pair, arm: str, name: str, plan: Plan, settings: HybridSettings, file: ArmFile | None, progress: bool
) -> tuple[list[RowRecord], list[bool]]:
    records, solved = ([], []) if file is None else file.known()
    with ProgressBar(
        total=len(pair.test), initial=len(records), desc=f"{pair.name}: {name}", unit="problem", progress=progress
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
    own, led = encoded(pair, questions, step_by_step=arm == "base-step-by-step")
    try:
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
            more_ends=end_tokens(pair.thinking) if same_tokens(pair.base, pair.thinking) else (),
        )
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"{settings.n_rows} problems at once are too many for the memory of this device; what is done is kept: "
            f"go on with a smaller --rows ({error})"
        ) from error
    return records, [pair.grader(each, record.text) for each, record in zip(questions, records, strict=True)]
