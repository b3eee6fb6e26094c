"""Sampling a pair: resumed equals uninterrupted, more samples are added, and grades are those of the labeller."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reasonlens import InputError, PasskResult, PasskSettings, organism_pair, passk
from reasonlens.generation import Sampling
from reasonlens.organisms import problem_of, read
from reasonlens.pairs import Pair
from reasonlens.pairs.passk import chance
from reasonlens.pairs.passk.chance import GUESSERS, chance_of_answers, chance_of_rate
from reasonlens.rundir import RunDirectory
from reasonlens.stats import Interval
from reasonlens.traces.questions import Question

SAMPLING = Sampling(n_samples=3, temperature=1.0, top_p=1.0, max_new_tokens=287)
SETTINGS = PasskSettings(sampling=SAMPLING, n_test=4, n_rows=5, n_resamples=100, taus=(0.5,))


@pytest.fixture(scope="module")
def pair() -> Pair:
    return organism_pair("organism/sft-timing", n_train=0, n_validation=0, n_test=4)


@pytest.fixture(scope="module")
def done(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PasskResult]:
    out = tmp_path_factory.mktemp("passk") / "run"
    return out, passk(pair=pair, settings=SETTINGS, out=out, progress=False)


def responses(out: Path, role: str) -> dict[tuple[int, int], dict[str, Any]]:
    lines = (out / "responses" / f"{role}.jsonl").read_text().splitlines()[1:]
    return {(row["question"], row["sample"]): row for row in map(json.loads, lines)}


def test_every_sample_is_graded_by_its_answer_and_by_every_step(pair: Pair, done: tuple[Path, PasskResult]) -> None:
    out, result = done
    for role, counts in (("base", result.base_counts), ("thinking", result.thinking_counts)):
        rows = responses(out, role)
        assert set(rows) == {(question, sample) for question in range(4) for sample in range(3)}
        for number, (question, one) in enumerate(zip(pair.test, counts, strict=True)):
            some = [read(problem_of(question.prompt), rows[number, sample]["text"].split()) for sample in range(3)]
            assert (one.id, one.n) == (question.problem, 3)
            assert one.c == sum(reading.is_solved for reading in some)
            assert one.right_steps == sum(reading.is_process_right for reading in some) <= one.c
    assert result.coverage.only_thinking > 0 and result.steps is not None
    assert {len({row["text"] for row in responses(out, "base").values()})} == {12}  # no two samples are the same


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(
    pair: Pair, done: tuple[Path, PasskResult], tmp_path: Path
) -> None:
    out, result = done
    log = out / "responses" / "thinking.jsonl"
    before, lines = (out / "results.json").read_bytes(), log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:7]) + lines[7][:30])  # within the second batch, within a line
    again = passk(pair=pair, settings=SETTINGS, out=out, progress=False)
    assert (out / "results.json").read_bytes() == before and log.read_text() == "".join(lines)
    assert again.to_dict() == result.to_dict()
    assert passk(pair=pair, settings=replace(SETTINGS, n_rows=64), progress=False).base_counts == result.base_counts


def test_more_samples_go_on_from_fewer_and_the_first_ones_stay(pair: Pair, done: tuple[Path, PasskResult]) -> None:
    out, result = done
    before = responses(out, "base")
    more = replace(SETTINGS, sampling=replace(SAMPLING, n_samples=4))
    grown = passk(pair=pair, settings=more, out=out, progress=False)
    after = responses(out, "base")
    assert len(after) == 16 and before.items() <= after.items()
    assert grown.curves.k == (1, 2, 3, 4)
    fewer = passk(pair=pair, settings=SETTINGS, out=out, progress=False)
    assert fewer.to_dict() == result.to_dict()
    with pytest.raises(InputError, match="holds another run"):
        passk(pair=pair, settings=replace(SETTINGS, seed=1), out=out, progress=False)


def test_what_was_counted_can_be_compared_again_from_its_files(done: tuple[Path, PasskResult]) -> None:
    out, result = done
    counts = (out / "counts" / "base.jsonl", out / "counts" / "thinking.jsonl")
    again = passk(base_counts=counts[0], thinking_counts=counts[1], settings=SETTINGS)
    assert again.curves.difference_band == result.curves.difference_band
    assert again.steps is not None and again.steps.coverage == result.steps.coverage
    assert again.chance is None and result.chance is not None


def test_chance_of_organisms_is_a_uniform_guess_and_that_of_a_rate_its_closed_form(
    done: tuple[Path, PasskResult],
) -> None:
    _, result = done
    assert result.chance.guesser == "uniform-answer"
    assert result.chance.pass_at == pytest.approx([1 - (1 - 6**-5) ** k for k in (1, 2, 3)])
    assert chance_of_rate(0.5, (1, 3)).pass_at == pytest.approx((0.5, 0.875))
    assert chance_of_rate(0.0, (1, 9)).pass_at == (0.0, 0.0) and chance_of_rate(1.0, (1,)).pass_at == pytest.approx(
        (1,)
    )


def test_chance_of_questions_is_who_gives_the_commonest_answers_one_after_the_other() -> None:
    answers = ["7", "7", "7", "3", "3", "9"]
    questions = [Question(f"p{number}", "?", answer) for number, answer in enumerate(answers)]
    chance = chance_of_answers(questions, (1, 2, 3, 8))
    assert chance is not None and chance.pass_at == pytest.approx((3 / 6, 5 / 6, 1, 1))
    assert chance_of_answers([Question("p", "?"), *questions], (1,)) is None
    assert chance_of_answers(questions[2:4] + questions[5:], (1,)) is None  # all answers differ: nothing to guess by


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ks": (1, 9)}, "k = 9 needs as many samples"),
        ({"ks": ()}, "ks names no number of samples"),
        ({"ks": (0,)}, "ks takes a whole number of at least 1"),
        ({"taus": (0.0,)}, "taus are above 0"),
        ({"taus": (1.5,)}, "taus takes a number from 0 to 1"),
        ({"chance": 2.0}, "chance takes a number from 0 to 1"),
        ({"n_resamples": 5}, "n_resamples takes a whole number of at least 100"),
        ({"sampling": Sampling(temperature=0)}, "greedily a model has but one"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_before_anything_is_written(
    pair: Pair, fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        passk(pair=pair, settings=replace(SETTINGS, **fields), out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_guessers_with_the_words_of_models_are_measured_once_each_and_the_strongest_is_the_chance(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    names = {id(guesser): name for name, guesser in GUESSERS.items()}

    def success(model: Any, guesser: Any, *, seed: int) -> Interval:
        if len(asked) == 5:
            raise KeyboardInterrupt
        asked.append(("base" if model is pair.base.model else "thinking", names[id(guesser)]))
        return Interval(0.3, 0.2, 0.4, 4) if asked[-1] == ("thinking", "best-rates") else Interval(0.001, n=4)

    monkeypatch.setattr(chance, "guessing_success", success)
    with RunDirectory(tmp_path / "run", "passk", settings={}) as run:
        run.record()
        with pytest.raises(KeyboardInterrupt):
            chance.chance_of_pair(pair, [1, 2], run, is_measured=True, seed=0, progress=False)
    first = [*asked]
    asked.clear()
    with RunDirectory(tmp_path / "run", "passk", settings={}) as run:
        run.record()
        strongest = chance.chance_of_pair(pair, [1, 2], run, is_measured=True, seed=0, progress=False)
    assert len(first) == 5 and len({*first, *asked}) == 2 * len(GUESSERS) == 5 + len(asked)
    assert strongest is not None and strongest.guesser == f"best-rates, words of {pair.thinking.name}"
    assert strongest.pass_at == pytest.approx((0.3, 1 - 0.7**2))
    rows = [json.loads(line) for line in (tmp_path / "run" / "chance.jsonl").read_text().splitlines()[1:]]
    ends = {(row["model"], row["guesser"]): (row["low"], row["high"]) for row in rows}
    assert len(ends) == 8 and ends.pop((pair.thinking.name, "best-rates")) == (0.2, 0.4)
    assert set(ends.values()) == {(None, None)}  # one island: no interval
