"""How much of the gap to a thinking model a base model recovers, steered at the tokens that model picks.

1. Pairs of a base and thinking models, on problems in three sets without a common one.
2. Each pair is run stage by stage (`pair_run.py`), in a directory of its own. Several organisms may run side by side in
   processes; what these wrote is then read.
3. Figures, verdicts and a page are written; a judge's opinion is added to them where one is asked.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...models._load import ModelLike
from ...models.device import single_thread
from ...rundir import InputError, RunDirectory, expanded, members_of, parse_json, settings_of
from ...rundir.lock import only_writer
from ...rundir.result_files import TABLES
from ...rundir.workers import check_jobs, side_by_side
from ...traces.judge import Judge
from ..identity import folders_of
from ..opening import TRAINED_ORGANISMS, Problems, open_pairs
from ..pair import Pair, check_lengths
from .experiment import Experiment
from .judging import check_answers, judge_pair
from .pair_result import PairResult
from .pair_run import run_pair
from .result import ARTIFACTS, HybridResult
from .settings import HybridSettings

logger = logging.getLogger(__name__)

RUN = "run.json"


def hybrid(
    base: ModelLike | None = None,
    thinking: ModelLike | Sequence[ModelLike] = TRAINED_ORGANISMS,
    problems: Problems | None = None,
    *,
    pairs: Sequence[Pair] | None = None,
    settings: HybridSettings | None = None,
    judge: Judge | None = None,
    out: str | Path | None = None,
    resume: bool = True,
    jobs: int = 1,
    device: str | None = None,
    progress: bool = True,
) -> HybridResult:
    """Steer a base model where thinking models say, with every control, and measure the gap that is recovered.

    Args:
        base: Model that writes; None: of each organism the base that it was trained from.
        thinking: Model that says when, or several: each makes a pair with the base.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        pairs: What is run in place of all these (`question_pair`, `organism_pair`).
        settings: Arms, gate, strengths and sizes; default `HybridSettings()`.
        judge: Grades the final answers that the rule is unsure of.
        out: Directory for results.json, table.csv, report.html and everything that is made on the way; the same call
            goes on there where it was cut off, and one with other settings is refused. None keeps nothing.
        resume: Whether to go on from what is in `out`; else that is removed first.
        jobs: Pairs of organisms that run side by side, each on one thread, where they are named and `out` keeps what
            they write; all other pairs run one after another. Results do not depend on it.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        Figures of each pair and arm, and a verdict of each pair; `.pairs[name].run` holds responses and components.

    Raises:
        InputError: Models, problems or settings cannot be used, or `out` holds another run or is being written.
    """
    settings = settings_of(settings, HybridSettings)
    check_jobs(jobs)
    organisms = _organisms(base, thinking) if pairs is None and problems is None else []
    if pairs is None:
        pairs = open_pairs(
            base,
            thinking,
            problems,
            n_train=settings.n_train,
            n_validation=settings.n_validation,
            n_test=settings.n_test,
            seed=settings.seed,
            device=device,
        )
    pairs = members_of(pairs, Pair, "pairs", "give what question_pair or organism_pair returned")
    folders = folders_of(pairs)
    for pair in pairs:
        check_lengths(pair)
        if judge is not None:
            check_answers(pair)
    place = None if out is None else expanded(out)
    compared = {name: value for name, value in settings.compared().items() if name != "layers"}  # each pair's own
    options = settings.free() | {"pairs": list(folders), "judge": None if judge is None else judge.model}
    for pair in pairs:
        settings.layers_of(pair.base)  # what cannot be run is refused before anything is removed
    if place is not None:
        if not resume:
            forget(place, list(folders.values()))
        _check_pairs(place, list(folders))
    directory = RunDirectory(place, "hybrid", settings=compared, options=options)
    places = [directory.file(folders[pair.name]) for pair in pairs]
    for pair, own in zip(pairs, places, strict=True):
        Experiment.of(pair, settings, own)  # what is of other settings is refused before anything is written
    with directory, single_thread() if organisms else nullcontext():
        directory.record()
        if place is not None and organisms and jobs > 1:
            tasks = [(*models, settings, own, progress) for models, own in zip(organisms, places, strict=True)]
            with directory.stage(f"pairs, {min(jobs, len(tasks))} side by side"):
                side_by_side(_run_organisms, tasks, jobs)
        results: dict[str, PairResult] = {}
        for pair, own in zip(pairs, places, strict=True):
            with directory.stage(pair.name):
                results[pair.name] = PairResult.of(run_pair(Experiment.of(pair, settings, own, progress=progress)))
        result = HybridResult(pairs=results, settings=settings)
        if place is not None:
            result.write(place)  # before a judge is asked, who may refuse
        if judge is not None:
            result = _judged(result, judge, directory, folders)
            if place is not None:
                result.write(place)
        directory.finish(ARTIFACTS)
    return result


def _organisms(
    base: ModelLike | None, thinking: ModelLike | Sequence[ModelLike]
) -> list[tuple[ModelLike, ModelLike | None]]:
    """List thinking model and base of each pair: without problems `open_pairs` takes organisms by name only."""
    names = [thinking] if isinstance(thinking, str) or not isinstance(thinking, Sequence) else thinking
    return [(name, base) for name in names]


def _run_organisms(
    thinking: ModelLike, base: ModelLike | None, settings: HybridSettings, out: Path, progress: bool
) -> None:
    """Run a pair in its folder, in a process of its own."""
    with single_thread():
        (pair,) = open_pairs(
            base,
            thinking,
            n_train=settings.n_train,
            n_validation=settings.n_validation,
            n_test=settings.n_test,
            seed=settings.seed,
        )
        run_pair(Experiment.of(pair, settings, out, progress=progress))


def forget(out: Path, folders: Sequence[str]) -> None:
    """Remove what an earlier run has left of some pairs, and its results; nothing where there was no run.

    Args:
        out: Directory of the run.
        folders: Of the pairs in it.

    Raises:
        InputError: The run is of another command, or another process is writing there.
    """
    run = _record(out)
    if run is None:
        return
    if run.get("command") != "hybrid":
        raise InputError(
            f"{out} holds a run of {run.get('command')!r}, not of 'hybrid': nothing was removed; choose another --out"
        )
    with only_writer(out):
        for name in folders:
            if (out / name / RUN).is_file():
                shutil.rmtree(out / name)
        shutil.rmtree(out / TABLES, ignore_errors=True)
        for name in (*ARTIFACTS, RUN):
            (out / name).unlink(missing_ok=True)


def _record(out: Path) -> dict[str, Any] | None:
    """Read the record of the run in a directory; None where there is no run."""
    try:
        record = parse_json((out / RUN).read_bytes(), RUN)
    except FileNotFoundError:
        return None
    except (OSError, InputError) as error:
        raise InputError(f"{out / RUN} cannot be read ({error}); choose another --out or remove it") from error
    return record if isinstance(record, dict) else {}


def _check_pairs(out: Path, pairs: Sequence[str]) -> None:
    """Refuse to write results without the pairs that an earlier call put into them."""
    options = (_record(out) or {}).get("options")
    earlier = options.get("pairs") if isinstance(options, dict) else None
    left_out = [name for name in earlier if name not in pairs] if isinstance(earlier, list) else []
    if left_out:
        raise InputError(
            f"the results in {out} hold the pair {left_out[0]!r} too, which this call would leave out: name it "
            "as well, or choose another --out"
        )


def _judged(result: HybridResult, judge: Judge, directory: RunDirectory, folders: dict[str, str]) -> HybridResult:
    """The result with the judge's opinion; the replies are kept in each pair's folder."""
    pairs = {}
    for name, pair in result.pairs.items():
        assert pair.run is not None
        logger.info(f"{name}: {judge.model} grades final answers")
        replies = directory.file(f"{folders[name]}/judge.jsonl")
        pairs[name] = replace(pair, judged=judge_pair(pair.run, judge, replies))
    return replace(result, pairs=pairs)
