"""A whole comparison: resumed equals uninterrupted, batches do not matter, and what cannot run is said by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reasonlens import ElicitResult, ElicitSettings, InputError, elicit, organism_pair
from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel
from reasonlens.pairs import Pair, question_pair
from reasonlens.pairs.elicit import answering, one_example
from reasonlens.traces.questions import Question

SETTINGS = ElicitSettings(
    arms=("step-by-step", "one-example"),
    sampling=Sampling(n_samples=3, temperature=1.0, top_p=1.0, max_new_tokens=5),
    n_wordings=2,
    n_reworded=3,
    n_off_task=3,
    n_examples=4,
    steps=3,
    learning_rate=1e-3,
    n_rows=5,
)


@pytest.fixture(scope="module")
def pair(tiny: Callable[..., LanguageModel]) -> Pair:
    asked = [Question(f"p{number}", f"What is {number} doubled?", str(2 * number)) for number in range(10)]
    counts: dict[str, Any] = {"n_train": 3, "n_validation": 2, "n_test": 5}
    model = tiny()
    pair = question_pair(model, model, asked, grader=lambda _, text: len(text) % 2 == 0, **counts)
    return replace(pair, base_template="plain")


@pytest.fixture(scope="module", autouse=True)
def few_tokens() -> Any:
    """Read texts of a few words, and let responses that were cut off be learnt from: random models never end."""
    with pytest.MonkeyPatch.context() as patch:
        write = one_example.write
        patch.setattr(
            one_example, "write", lambda *a, **k: [replace(one, is_truncated=False) for one in write(*a, **k)]
        )
        yield


@pytest.fixture(scope="module")
def done(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ElicitResult]:
    out = tmp_path_factory.mktemp("elicit") / "run"
    return out, elicit(pair=pair, settings=SETTINGS, out=out, progress=False)


def test_every_arm_answers_every_problem_in_every_wording(done: tuple[Path, ElicitResult]) -> None:
    out, result = done
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()[1:]]
    expected = {("plain", 0, question, sample) for question in range(5) for sample in range(3)}
    for arm in ("plain", "step-by-step", "one-example"):
        expected |= {(arm, 0, question, 0) for question in range(5)} | {(arm, 1, question, 0) for question in range(3)}
    assert {(row["arm"], row["wording"], row["question"], row["sample"]) for row in rows} == expected
    assert [one.arm for one in result.arms] == ["plain", "step-by-step", "one-example"] and result.thinking is None
    for one in result.arms:
        own = [row for row in rows if (row["arm"], row["wording"], row["sample"]) == (one.arm, 0, 0)]
        assert one.accuracy.value == pytest.approx(sum(row["is_solved"] for row in own) / 5)
        assert one.flops.value == pytest.approx(
            sum(row["cost"]["prompt_flops"] + row["cost"]["output_flops"] for row in own) / 5
        )
        assert len(one.by_wording) == 2 and one.n_reworded == 3
    plain, steps, tuned = result.arms
    assert plain.loss_change.value == steps.loss_change.value == 0 and tuned.loss_change.value != 0
    assert steps.prompt_tokens.value > plain.prompt_tokens.value and tuned.training.n_problems == 1
    assert {path.stem for path in (out / "tables").iterdir()} == {"cost", "gains", "off_task", "wordings"}
    assert ElicitResult.from_dict(json.loads((out / "results.json").read_text())).to_dict() == result.to_dict()
    assert "cannot be concluded" in result.sentences()[-1]


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(
    pair: Pair, done: tuple[Path, ElicitResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, result = done
    add, n_added = answering.RowLog.add, []

    def add_some(log: Any, rows: Any) -> None:
        if len(n_added) == 5:
            raise KeyboardInterrupt
        n_added.append(1)
        add(log, rows)

    with monkeypatch.context() as patch:
        patch.setattr(answering.RowLog, "add", add_some)
        with pytest.raises(KeyboardInterrupt):
            elicit(pair=pair, settings=SETTINGS, out=tmp_path / "run", progress=False)
    log = tmp_path / "run" / "answers.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:-1]) + lines[-1][:30])  # within a batch, within a line
    again = elicit(pair=pair, settings=SETTINGS, out=tmp_path / "run", progress=False)
    assert again.to_dict() == result.to_dict()
    assert sorted(log.read_text().splitlines()) == sorted((out / "answers.jsonl").read_text().splitlines())
    (tmp_path / "run" / "answers.jsonl").unlink()
    assert elicit(pair=pair, settings=SETTINGS, out=tmp_path / "run", progress=False).to_dict() == result.to_dict()


def test_batches_do_not_matter_and_more_arms_are_added_to_a_run(
    pair: Pair, done: tuple[Path, ElicitResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, result = done
    alone = elicit(pair=pair, settings=replace(SETTINGS, n_rows=1, arms=("step-by-step",)), progress=False)
    assert alone.arm("step-by-step").accuracy == result.arm("step-by-step").accuracy
    assert alone.arm("step-by-step").by_wording == result.arm("step-by-step").by_wording
    monkeypatch.setattr(one_example, "fine_tuned", lambda *passed, **options: pytest.fail("it was prepared again"))
    fewer = elicit(pair=pair, settings=replace(SETTINGS, arms=("one-example",)), out=out, progress=False)
    assert fewer.arm("one-example").accuracy == result.arm("one-example").accuracy
    elicit(pair=pair, settings=SETTINGS, out=out, progress=False)
    with pytest.raises(InputError, match="holds another run"):
        elicit(pair=pair, settings=replace(SETTINGS, seed=1), out=out, progress=False)


def test_what_is_stated_of_the_thinking_model_needs_no_new_answers(
    pair: Pair, tiny: Callable[..., LanguageModel], tmp_path: Path
) -> None:
    both = replace(pair, thinking=tiny("qwen"), thinking_template="plain")
    few = replace(SETTINGS, arms=("thinking",), n_wordings=1, n_off_task=2)
    first = elicit(pair=both, settings=few, out=tmp_path / "run", progress=False)
    assert first.arm("thinking").training.n_examples is None and first.thinking == "tiny-qwen"
    before = (tmp_path / "run" / "answers.jsonl").read_bytes()
    stated = replace(few, thinking_examples=50, thinking_flops=1e15)
    second = elicit(pair=both, settings=stated, out=tmp_path / "run", progress=False)
    assert second.arm("thinking").training.n_examples == 50 and second.arm("thinking").training.flops == 1e15
    assert (tmp_path / "run" / "answers.jsonl").read_bytes() == before
    assert "wordings" not in second.tables()


def test_an_arm_that_cannot_run_is_named_with_the_reason(tmp_path: Path) -> None:
    organisms = organism_pair("organism/rl-timing", n_train=1, n_validation=2, n_test=2)
    for name in ("step-by-step", "cognitive-tools"):
        with pytest.raises(InputError, match=f"the arm {name} cannot run: the language of .* has no words"):
            elicit(pair=organisms, settings=replace(SETTINGS, arms=(name,)), out=tmp_path / "run", progress=False)
    with pytest.raises(InputError, match="the arm reward-vectors cannot run: give vectors that `train-vectors` wrote"):
        elicit(pair=organisms, settings=replace(SETTINGS, arms=("reward-vectors",)), progress=False)
    with pytest.raises(InputError, match="there is no arm 'stearing'"):
        elicit(pair=organisms, settings=replace(SETTINGS, arms=("stearing",)), progress=False)
    assert not (tmp_path / "run").exists()


def test_arms_that_are_not_named_are_left_out_with_the_reason(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: arm for name, arm in answering_arms().items() if name in ("plain", "hybrid", "one-example")}
    monkeypatch.setattr("reasonlens.pairs.elicit._elicit.ARMS", kept)
    never = replace(pair, grader=lambda *_: False)
    result = elicit(pair=never, settings=replace(SETTINGS, arms=(), n_wordings=1), progress=False)
    assert [one.arm for one in result.arms] == ["plain"]
    assert "there is no thinking model" in result.refused["hybrid"]
    assert "answers none of 3 training problems right" in result.refused["one-example"]
    with pytest.raises(InputError, match="no figures of the arm 'hybrid'.*no thinking model"):
        result.arm("hybrid")
    with pytest.raises(InputError, match="answers none of 3 training problems right"):
        elicit(pair=never, settings=replace(SETTINGS, arms=("one-example",)), progress=False)


def answering_arms() -> dict[str, Any]:
    from reasonlens.pairs.elicit import ARMS

    return dict(ARMS)
