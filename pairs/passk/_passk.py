"""Who solves more with k samples of each problem, the base or the thinking model, and from which k on is it the base?

1. Both models are sampled many times on the same problems, or their counts of right samples are read.
2. pass@k of both at every k, without bias, with a band over problems that holds for all k at once (`attempts.py`).
3. From the band of the difference: where training surely helps, surely hurts, and where the curves can cross.
4. Which problems only one of them solves, how reliably each is solved (`coverage.py`), and what guesses reach
   (`chance.py`); where steps can be graded, the same with every step right.

That the base overtakes at large k was found by Yue et al. 2025 (arXiv 2504.13837).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from ...models._load import ModelLike
from ...rundir import InputError, RunDirectory, content_digest, expanded, settings_of, shown, to_row, write_text
from ...rundir.result_files import REPORT, RESULTS, TABLE
from ..identity import inputs_of
from ..opening import Problems, open_pairs
from ..pair import Pair, check_lengths
from .attempts import attempt_numbers
from .chance import Chance, chance_of_pair, chance_of_rate
from .count_files import CountsLike, CountSource, read_counts
from .counts import Matched, match
from .grading import Graded
from .result import PasskResult
from .sampling import BASE, THINKING, sample_counts
from .settings import PasskSettings

PAIR = "organism/rl-timing"


def passk(
    base: ModelLike | None = None,
    thinking: ModelLike | None = None,
    problems: Problems | None = None,
    *,
    pair: Pair | None = None,
    base_counts: CountsLike | None = None,
    thinking_counts: CountsLike | None = None,
    score: str | None = None,
    settings: PasskSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> PasskResult:
    """Estimate pass@k of a base and a thinking model, where the one overtakes the other, and what each covers.

    Args:
        base: Model without the training; None: of an organism the base that it was trained from.
        thinking: Model with it; None: `organism/rl-timing`.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        pair: What is sampled in place of these three (`question_pair`, `organism_pair`).
        base_counts: Right samples of the base, in place of sampling: a file (rows of `id`, `n`, `c`, or a log of
            inspect_ai or lm-eval) or such rows.
        thinking_counts: The same of the thinking model.
        score: Which score of a log counts; None: the only one.
        settings: How much is sampled, and what is estimated; default `PasskSettings()`.
        out: Directory for results.json, table.csv, report.html, and the responses where models are sampled; the same
            call goes on there where it was cut off, and with more samples adds them. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        Curves, crossover and sets with intervals over problems.

    Raises:
        InputError: Models, problems, counts or settings cannot be used, or `out` holds another run or is being
            written.
    """
    settings = settings_of(settings, PasskSettings)
    place = None if out is None else expanded(out)
    if base_counts is None and thinking_counts is None:
        if score is not None:
            raise InputError("a score is chosen of logs, and models are sampled here: leave --score out")
        return _of_models(_pair(base, thinking, problems, pair, settings, device), settings, place, progress)
    if base_counts is None or thinking_counts is None:
        raise InputError(
            "two models are compared, and counts of one only are given: give --base-counts and --thinking-counts"
        )
    if any(argument is not None for argument in (base, thinking, problems, pair)):
        raise InputError(
            "models are either sampled or counted already: give models and problems, or counts, and not both"
        )
    sources = (read_counts(base_counts, score), read_counts(thinking_counts, score))
    names = tuple(
        str(source) if isinstance(source, str | Path) else role
        for source, role in ((base_counts, BASE), (thinking_counts, THINKING))
    )
    return _of_counts(sources, (names[0], names[1]), settings, place)


def _of_counts(
    sources: tuple[CountSource, CountSource], names: tuple[str, str], settings: PasskSettings, place: Path | None
) -> PasskResult:
    matched = match(sources[0].counts, sources[1].counts, settings.least_samples, names)
    read_notes = tuple(f"{name}: {note}" for name, source in zip(names, sources, strict=True) for note in source.notes)
    inputs: dict[str, str] = {
        role: content_digest([to_row(counts) for counts in source.counts])
        for role, source in zip((BASE, THINKING), sources, strict=True)
    }
    with RunDirectory(place, "passk", inputs=inputs, changeable=asdict(settings)) as run:
        result = _result(names, matched, None, (*read_notes, *matched.notes), settings)
        run.record()
        _write(result, run)
    return result


def _of_models(pair: Pair, settings: PasskSettings, place: Path | None, progress: bool) -> PasskResult:
    check_lengths(pair)
    with RunDirectory(
        place,
        "passk",
        settings=settings.of_responses(),
        inputs=inputs_of(pair),
        changeable=settings.of_estimates(),
        options={"n_rows": settings.n_rows},
    ) as run:
        run.record()
        with run.stage("responses"):
            sampled = sample_counts(pair, settings, run, progress)
        chance = None
        if settings.chance is None:
            with run.stage("chance"):
                ks = attempt_numbers(sampled.least, settings.ks)
                chance = chance_of_pair(
                    pair, ks, run, is_measured=settings.measures_chance, seed=settings.seed, progress=progress
                )
        with run.stage("estimates"):
            result = _result((pair.base.name, pair.thinking.name), sampled, chance, sampled.notes, settings)
        _write(result, run)
    return result


def _pair(
    base: ModelLike | None,
    thinking: ModelLike | None,
    problems: Problems | None,
    pair: Pair | None,
    settings: PasskSettings,
    device: str | None,
) -> Pair:
    if settings.ks is not None:
        attempt_numbers(settings.sampling.n_samples, settings.ks)  # what is refused is refused before sampling
    if pair is None:
        thinking = PAIR if thinking is None else thinking
        pair = open_pairs(
            base,
            thinking,
            problems,
            n_train=0,
            n_validation=0,
            n_test=settings.n_test,
            seed=settings.seed,
            device=device,
        )[0]
    if not isinstance(pair, Pair):
        raise InputError(
            f"pair takes a reasonlens.Pair, and {shown(pair)} is none; give what question_pair or organism_pair "
            "returned"
        )
    return pair


def _result(
    names: tuple[str, str], matched: Matched, chance: Chance | None, notes: tuple[str, ...], settings: PasskSettings
) -> PasskResult:
    answers = Graded.of(matched, "c", settings)
    if settings.chance is not None:
        chance = chance_of_rate(settings.chance, answers.curves.k)
    return PasskResult(
        base=names[0],
        thinking=names[1],
        answers=answers,
        steps=Graded.of(matched, "right_steps", settings) if matched.knows_steps else None,
        chance=chance,
        base_counts=matched.base,
        thinking_counts=matched.thinking,
        notes=notes,
        settings=settings,
    )


def _write(result: PasskResult, run: RunDirectory) -> None:
    if not run.has_directory:
        return
    result.write(run.path)
    names = []
    for role, counts in ((BASE, result.base_counts), (THINKING, result.thinking_counts)):
        names.append(f"counts/{role}.jsonl")
        lines = [json.dumps(to_row(row), ensure_ascii=False) for row in counts]
        write_text(run.path / names[-1], "".join(f"{line}\n" for line in lines))
    run.finish((RESULTS, TABLE, REPORT, *names))
