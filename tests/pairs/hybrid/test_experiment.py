"""A whole small experiment on the organisms, where the truth is known: made once, looked at from all sides."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reasonlens.activations import Activations, collect
from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel, load
from reasonlens.pairs.hybrid import (
    HybridResult,
    HybridSettings,
    organism_pair,
    question_pair,
    run_pair,
    training,
)
from reasonlens.pairs.hybrid import (
    next_sentence as next_sentence_module,
)
from reasonlens.pairs.hybrid.kept import ArmFile
from reasonlens.pairs.hybrid.measure import ArmResult
from reasonlens.pairs.hybrid.next_sentence import next_sentence
from reasonlens.pairs.hybrid.run import forget
from reasonlens.pairs.hybrid.strength import recorded
from reasonlens.pairs.hybrid.verdict import verdict_of
from reasonlens.rundir import InputError
from reasonlens.traces import Trace
from reasonlens.traces.questions import Question

SETTINGS = HybridSettings(
    arms=(
        *("probe-gated", "network-strength", "oracle", "forcing", "bias", "random-vectors", "random-behaviour"),
        *("random-positions", "shuffled-strengths"),
    ),
    layers=(2,),
    strengths=(0.75,),
    thresholds=(-4.0, -2.0, 0.0),
    n_train=80,
    n_validation=20,
    n_test=60,
    n_seeds=2,
    rollout=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=112),
    sampling=Sampling(n_samples=1, temperature=0, max_new_tokens=112),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[HybridResult, Path]:
    out = tmp_path_factory.mktemp("hybrid") / "rl"
    pair = organism_pair("organism/rl", n_train=80, n_validation=20, n_test=60)
    return HybridResult(pairs=(run_pair(pair, SETTINGS, out=out, progress=False),), settings=SETTINGS), out


def test_a_base_steered_at_few_tokens_recovers_most_of_the_gap_and_controls_do_not(
    found: tuple[HybridResult, Path],
) -> None:
    arms = found[0].arms()["rl"]
    assert arms["hybrid"].gap > 0.7 and arms["hybrid"].steered < 0.2
    assert arms["probe-gated"].gap > 0.5
    for control in ("random-vectors", "random-behaviour", "random-positions"):
        assert arms[control].gap < 0.25, control
    assert found[0].verdicts()["rl"].startswith("The base can, and is not told when")


def test_taken_over_wherever_they_differ_the_base_is_the_thinking_model(found: tuple[HybridResult, Path]) -> None:
    run = found[0].pairs[0]
    texts = {name: [each.text for each in run.arms[name].records[0]] for name in ("oracle", "thinking")}
    assert texts["oracle"] == texts["thinking"]


def test_an_arm_with_seeds_is_reported_over_all_of_them(found: tuple[HybridResult, Path]) -> None:
    run = found[0].pairs[0]
    arm = found[0].arms()["rl"]["random-vectors"]
    assert arm.n_seeds == 2 and arm.n == 60
    assert arm.accuracy == pytest.approx(np.mean(run.arms["random-vectors"].is_solved))


def test_a_run_that_was_cut_off_goes_on_and_ends_the_same(
    found: tuple[HybridResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, out = found
    again = tmp_path / "rl"
    shutil.copytree(out, again)
    for file in (again / "arms").iterdir():
        content = file.read_bytes()
        cut = content.index(b"\n", len(content) // 2) + 1
        file.write_bytes(content[: cut + 40])  # half, and a line that was being written
    (again / "arms" / "shuffled-strengths.jsonl").unlink()
    made_once = ("write", "optimised_directions", "token_table", "fit_coefficients")
    for name in made_once:
        monkeypatch.setattr(training, name, _never)
    resumed = run_pair(result.pairs[0].pair, SETTINGS, out=again, progress=False)
    for file in (out / "arms").iterdir():
        (records, solved), (before, solved_before) = ArmFile(again / "arms" / file.name).known(), ArmFile(file).known()
        assert solved == solved_before and len(records) == 60, file.name
        for one, other in zip(records, before, strict=True):
            # Strengths of the network and log probabilities are rounded otherwise in a batch of another size.
            assert replace(one, strength=()) == replace(other, strength=()), file.name
            np.testing.assert_allclose(one.strength, other.strength, atol=1e-5)
            np.testing.assert_allclose(one.base_logprob, other.base_logprob, atol=2e-4)
    frame = HybridResult(pairs=(resumed,), settings=SETTINGS).to_frame()
    pd.testing.assert_frame_equal(frame, result.to_frame())
    pd.testing.assert_frame_equal(resumed.grid, result.pairs[0].grid, check_dtype=False)
    pd.testing.assert_frame_equal(resumed.next_sentence, result.pairs[0].next_sentence)


def _never(*_: object, **__: object) -> None:
    raise AssertionError("this was made already")


def test_rollouts_that_were_cut_off_go_on_the_same(found: tuple[HybridResult, Path], tmp_path: Path) -> None:
    pair, kept = found[0].pairs[0].pair, tmp_path / "rollouts.jsonl"
    lines = (found[1] / "rollouts.jsonl").read_text("utf-8").splitlines(keepends=True)
    kept.write_text("".join(lines[:33]) + lines[33][:20], "utf-8")
    assert training.rollouts(pair, replace(SETTINGS, n_rows=29), kept) == list(found[0].pairs[0].parts.traces)
    assert kept.read_text("utf-8") == "".join(lines)


def test_a_folder_of_another_experiment_is_refused_and_left_alone(found: tuple[HybridResult, Path]) -> None:
    result, out = found
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    for other in (replace(SETTINGS, strengths=(0.25,)), replace(SETTINGS, gate="boundary"), replace(SETTINGS, seed=1)):
        with pytest.raises(InputError, match="holds another run"):
            run_pair(result.pairs[0].pair, other, out=out, progress=False)
    with pytest.raises(InputError, match="holds another run .problems"):
        run_pair(replace(result.pairs[0].pair, test=result.pairs[0].pair.test[:50]), SETTINGS, out=out)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_only_what_a_run_has_left_is_forgotten(found: tuple[HybridResult, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    forget(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").is_file()
    shutil.copytree(found[1], tmp_path / "rl")
    forget(tmp_path / "rl")
    assert not (tmp_path / "rl").exists()


def test_strengths_of_the_network_vary_and_are_what_is_shuffled(found: tuple[HybridResult, Path]) -> None:
    run = found[0].pairs[0]
    assert len(set(recorded(run.arms["hybrid"].records[0]))) == 1
    strengths = recorded(run.arms["network-strength"].records[0])
    assert len(set(strengths)) > 10 and min(strengths) > 0
    assert set(recorded(run.arms["shuffled-strengths"].records[0])) <= set(np.float32(strengths).tolist())
    assert {"hybrid", "probe-gated", "network-strength"} == set(run.grid["arm"])
    assert found[0].arms()["rl"]["network-strength"].gap > 0.5


def test_what_comes_next_is_as_decodable_from_the_base_and_noise_is_not(found: tuple[HybridResult, Path]) -> None:
    run = found[0].pairs[0]
    table = run.next_sentence.set_index(["model", "behaviour"])
    for behaviour in ("backtracking", "verification"):
        base, thinking = (table.loc[(who, behaviour), "auroc"] for who in ("base", "thinking"))
        assert base > 0.9 and abs(base - thinking) < 0.05
    random = np.random.default_rng(0)
    noise = [
        replace(each, spans=tuple(replace(span, label=random.choice(["backtracking", "other"])) for span in each.spans))
        for each in run.parts.traces
    ]
    shuffled = next_sentence(run.pair, noise, run.tuned.layer, ("backtracking", "other"))
    assert (shuffled["auroc"] - 0.5).abs().max() < 0.12


def test_results_are_plain_json_and_the_page_escapes_what_models_write(found: tuple[HybridResult, Path]) -> None:
    result, _ = found
    written = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    arm = written["pairs"]["rl"]["arms"]["hybrid"]
    assert {"accuracy", "gap", "gap_low", "gap_high", "steered", "n"} <= set(arm)
    record = result.pairs[0].arms["base"].records[0][0]
    object.__setattr__(record, "text", "<script>alert(1)</script>")
    page = result.report()
    assert "How much of the gap each arm recovers" in page
    assert "<script>alert(1)</script>" not in page


def test_problems_of_the_three_sets_are_others_and_parted_always_alike() -> None:
    base = load("organism/base", device="cpu")
    questions = [Question(f"p{number}", f"q{number}", "1") for number in range(40)]
    counts = {"n_train": 15, "n_validation": 10, "n_test": 100}
    pair = question_pair(base, base, questions, **counts)
    sets = [{each.problem for each in part} for part in (pair.train, pair.validation, pair.test)]
    assert [len(each) for each in sets] == [15, 10, 15] and len(set.union(*sets)) == 40
    again = question_pair(base, base, questions[::-1], **counts)
    assert again.train == pair.train and again.test == pair.test
    with pytest.raises(InputError, match="10 problems are too few"):
        question_pair(base, base, questions[:10], **counts)


def arm(name: str, gap: float, spread: float = 0.05, **options: object) -> ArmResult:
    known = {
        **{
            "arm": name,
            "n": 500,
            "n_problems": 500,
            "n_seeds": 1,
            "accuracy": 0.5,
            "accuracy_low": 0.4,
            "accuracy_high": 0.6,
        },
        **{"gain": gap / 2, "gain_low": gap / 2 - spread, "gain_high": gap / 2 + spread, "no_gap": ""},
        **{"gap": gap, "gap_low": gap - spread, "gap_high": gap + spread, "p_mcnemar": 0.1, "steered": 0.05},
        **{"effective": 0.05, "changed": 0.04, "truncated": 0.0, "tokens": 50.0},
    }
    return ArmResult(**(known | options))


@pytest.mark.parametrize(
    ("hybrid", "not_beaten", "expected"),
    [
        (arm("hybrid", 0.8), (), "The base can, and is not told when: 0.80 [0.75, 0.85]"),
        (arm("hybrid", 0.05), ("random-vectors",), "Steering recovers little"),
        (
            arm("hybrid", 0.8),
            ("bias",),
            "Nothing shown: 0.80 [0.75, 0.85] of the gap with 5.0% of tokens steered, and is not",
        ),
        (arm("hybrid", -0.3), (), "The hybrid is worse than its base"),
        (arm("hybrid", 0.4), (), "Part of the gap"),
        (
            arm("hybrid", float("nan"), no_gap="the thinking model is worse"),
            0.0,
            "No gap to recover: the thinking model",
        ),
    ],
)
def test_the_verdict_follows_from_the_numbers(hybrid: ArmResult, not_beaten: tuple[str, ...], expected: str) -> None:
    arms = {"hybrid": hybrid, "random-vectors": arm("random-vectors", 0.05)}
    assert verdict_of(arms, not_beaten).startswith(expected)


def test_without_a_control_nothing_is_shown() -> None:
    assert verdict_of({"hybrid": arm("hybrid", 0.8)}).startswith("Nothing shown: 0.80 [0.75, 0.85]")


def test_unknown_arms_and_empty_grids_are_refused() -> None:
    with pytest.raises(InputError, match="there is no arm 'magic'; there are base, "):
        HybridSettings(arms=("magic",))
    with pytest.raises(InputError, match="at least one strength"):
        HybridSettings(strengths=())
    assert HybridSettings(arms=("oracle",)).arms == ("base", "thinking", "hybrid", "oracle")
    assert HybridSettings.quick().n_test == 200


def test_what_comes_next_is_read_from_each_model_after_its_own_prompt(
    found: tuple[HybridResult, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str, list[int]]] = []

    def watched(model: LanguageModel, traces: list[Trace], **options: Any) -> Activations:
        seen.append((model.name, options["template"], options["layers"]))
        return collect(model, traces, **options)

    monkeypatch.setattr(next_sentence_module, "collect", watched)
    run = found[0].pairs[0]
    pair = replace(run.pair, base_template="plain")
    table = next_sentence(pair, run.parts.traces, 1, ("backtracking",))
    assert seen == [("organism/base", "plain", [1]), ("organism/rl", "auto", [1])]
    assert table["model"].tolist() == ["base", "thinking"]
    assert table["auroc"].nunique() == 2, "the two models' own activations"
    assert next_sentence(pair, run.parts.traces[:3], 1, ("backtracking",)).empty


def test_questions_of_one_problem_are_all_kept_and_stay_in_one_set() -> None:
    base = load("organism/base", device="cpu")
    questions = [Question(f"p{number // 3}", f"q{number}", "1") for number in range(60)]
    pair = question_pair(base, base, [*questions, questions[0]], n_train=10, n_validation=10, n_test=100)
    sets = (pair.train, pair.validation, pair.test)
    assert sum(map(len, sets)) == 60 and [len(each) % 3 for each in sets] == [0, 0, 0]
    names = [{each.problem for each in part} for part in sets]
    assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])


def test_a_question_that_a_model_cannot_read_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    pair = organism_pair("organism/rl", n_train=10, n_validation=5, n_test=5)
    long = replace(pair.test[0], prompt=pair.test[0].prompt * 20)
    with pytest.raises(InputError, match="leave out what a model cannot read|leave it out of the problems"):
        run_pair(replace(pair, test=(*pair.test, long)), SETTINGS, out=tmp_path / "h")
    assert not (tmp_path / "h").exists()
