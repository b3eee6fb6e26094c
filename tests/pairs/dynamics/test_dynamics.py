"""Following checkpoints of an organism: counts by the labeller, resumed equals uninterrupted, one equals many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reasonlens import DynamicsResult, DynamicsSettings, InputError, dynamics
from reasonlens.generation import Sampling
from reasonlens.organisms import problem_of, read
from reasonlens.organisms.language import STOP, WORDINGS
from reasonlens.pairs.dynamics import following
from reasonlens.pairs.dynamics.curve import ANGLE, RATE, TRANSFER, WHEN
from reasonlens.pairs.dynamics.form import is_in_form, organism_is_in_form
from reasonlens.pairs.dynamics.step_run import counts_of
from reasonlens.pairs.opening import open_pairs
from reasonlens.pairs.sampling import Response

SAMPLING = Sampling(n_samples=2, temperature=1.0, top_p=1.0, max_new_tokens=287)
SETTINGS = DynamicsSettings(sampling=SAMPLING, n_test=6, attempts=2, n_rows=12, n_resamples=100)
STEPS = {0: "organism/base-timing", 30: "organism/rl-timing@30", 60: "organism/rl-timing"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DynamicsResult]:
    out = tmp_path_factory.mktemp("dynamics") / "run"
    return out, dynamics(STEPS, settings=SETTINGS, out=out, progress=False)


def responses(out: Path, step: int) -> list[dict[str, object]]:
    lines = (out / "steps" / f"{step:06d}" / "responses" / "thinking.jsonl").read_text().splitlines()[1:]
    return sorted((json.loads(line) for line in lines), key=lambda row: (row["question"], row["sample"]))


def test_every_step_answers_the_same_problems_and_is_counted_by_the_labeller(done: tuple[Path, DynamicsResult]) -> None:
    out, result = done
    run = result.run
    pair = open_pairs(None, "organism/rl-timing", n_train=0, n_validation=0, n_test=6)[0]
    assert run.steps == (0.0, 30.0, 60.0) and run.n_problems == 6
    for place, step in enumerate(STEPS):
        rows = responses(out, step)
        readings = [read(problem_of(pair.test[row["question"]].prompt), str(row["text"]).split()) for row in rows]
        assert len(rows) == 12
        assert run.curve("accuracy").values[place].value == sum(one.is_solved for one in readings) / 12
        assert run.curve("in form").values[place].value == sum(one.is_ended for one in readings) / 12
        checks = sum(step.behaviour == "verification" for one in readings for step in one.steps)
        assert run.curve(RATE, "verification").values[place].value == pytest.approx(checks / 12)
    for split, place in zip(run.gains, (1, 2), strict=True):
        accuracy = run.curve("accuracy").values
        assert split.gain.value == pytest.approx(accuracy[place].value - accuracy[0].value)
        assert split.form.value + split.beyond.value == pytest.approx(split.gain.value)
    assert (
        run.curve(ANGLE, "example-testing").values[0].value == 0 < run.curve(ANGLE, "example-testing").values[1].value
    )
    assert any(one.measure == TRANSFER for one in run.curves)
    assert {one.name for one in run.levels} >= {"chance", "shuffled labels"} and run.memorised is None


def test_what_was_cut_off_is_counted_followed_and_left_out_where_it_is_not_right() -> None:
    pair = open_pairs(None, "organism/rl-timing", n_train=0, n_validation=0, n_test=2)[0]
    plain = Response(text="", n_tokens=3, is_truncated=False, is_solved=False, has_right_steps=None)
    right = replace(plain, is_solved=True)
    some = [
        [right, replace(plain, is_truncated=True), replace(right, is_truncated=True), plain],
        [right, plain, plain, replace(plain, is_solved=None, is_truncated=True)],
    ]
    counts, _ = counts_of(pair, some, SETTINGS)
    assert (counts.cut.tolist(), counts.open.tolist()) == ([2, 1], [1, 1])
    assert (counts.settled.n.tolist(), counts.settled.right.tolist()) == ([3, 3], [2, 1])
    text = " ".join((*WORDINGS["answer"][0], STOP))
    answered = replace(plain, text=text, is_truncated=True)  # wrong, and cut off behind the answer
    ended, _ = counts_of(pair, [[right, plain, plain, answered]] * 2, SETTINGS)
    assert (ended.cut.tolist(), ended.open.tolist(), ended.in_form.tolist()) == ([1, 1], [0, 0], [1, 1])
    whole, _ = counts_of(pair, [[right, plain, plain, plain]] * 2, SETTINGS)
    cut, settled = following._cut_off([whole, counts])
    assert [one.value for one in cut.values] == pytest.approx([0, 3 / 8])
    assert [one.value for one in settled.values] == pytest.approx([2 / 8, 3 / 6])
    assert following._cut_off([whole, whole]) == []


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(done: tuple[Path, DynamicsResult]) -> None:
    out, result = done
    before = (out / "results.json").read_bytes()
    log = out / "steps" / "000030" / "responses" / "thinking.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:7]) + lines[7][:30])  # within a batch, and a line
    again = dynamics(STEPS, settings=SETTINGS, out=out, progress=False)
    assert (out / "results.json").read_bytes() == before and log.read_text() == "".join(lines)
    assert again.to_dict() == result.to_dict()


def test_estimates_may_change_on_the_same_responses_and_models_may_not(done: tuple[Path, DynamicsResult]) -> None:
    out, result = done
    log = (out / "steps" / "000030" / "responses" / "thinking.jsonl").read_bytes()
    other = dynamics(STEPS, settings=replace(SETTINGS, attempts=1, texts="none"), out=out, progress=False)
    assert (out / "steps" / "000030" / "responses" / "thinking.jsonl").read_bytes() == log
    assert other.run.curve("accuracy") == result.run.curve("accuracy") and other.run.collapse.k == 1
    assert not [one for one in other.run.curves if one.measure in (ANGLE, TRANSFER)]
    with pytest.raises(InputError, match="holds another run"):
        dynamics({**STEPS, 60: "organism/rl-timing@50"}, settings=SETTINGS, out=out, progress=False)
    with pytest.raises(InputError, match="holds another run"):
        dynamics(STEPS, settings=replace(SETTINGS, seed=1), out=out, progress=False)
    assert dynamics(STEPS, settings=SETTINGS, out=out, progress=False).to_dict() == result.to_dict()


def test_one_step_alone_gives_what_it_gives_among_many() -> None:
    """Other steps beside it, and another batch, change nothing of what is written."""
    chosen = replace(SETTINGS, texts="none", sampling=replace(SAMPLING, max_new_tokens=30))
    many = {0: STEPS[0], 10: "organism/rl-timing@10", 30: STEPS[30], 60: STEPS[60]}
    one, other = (
        dynamics(steps, settings=replace(chosen, n_rows=n_rows), progress=False).run
        for steps, n_rows in ((STEPS, 12), (many, 7))
    )
    behaviours = [curve for curve in one.curves if curve.measure == RATE]
    assert len(behaviours) > 3
    for curve in behaviours:
        values = other.curve(RATE, curve.series).values
        assert (values[0], *values[2:]) == curve.values


@pytest.mark.long
def test_sentences_are_exchanged_with_the_base_at_chosen_steps(tmp_path: Path) -> None:
    chosen = replace(SETTINGS, n_test=4, texts="none", when_at=(60.0,), n_exchanged=3)
    run = dynamics(STEPS, settings=chosen, out=tmp_path / "run", progress=False).run
    assert [one.step for one in run.exchanges] == [60.0]
    cells = run.exchanges[0].exchange.cells
    assert set(cells) == {"base", "when", "how", "thinking", "other moments", "itself"}
    assert {one.accuracy.n for one in cells.values()} == {3}
    assert WHEN in set(DynamicsResult(runs={"x": run}, settings=chosen).to_frame()["measure"])
    assert any("Step 60: " in sentence for sentence in run.sentences())


def test_what_was_trained_on_is_asked_of_every_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pair = open_pairs(None, "organism/rl-timing", n_train=2, n_validation=0, n_test=2)[0]
    short = replace(SAMPLING, max_new_tokens=20)
    chosen = replace(SETTINGS, n_test=2, texts="none", sampling=short)
    monkeypatch.setattr(following, "N_EXAMPLE", 3)
    run = dynamics(STEPS, trained_on=pair.train[:1], settings=chosen, out=tmp_path / "run", progress=False).run
    assert run.memorised is not None and (run.memorised.n_problems, run.memorised.at.n) == (1, 3)
    assert (tmp_path / "run" / "steps" / "000030" / "trained" / "responses").is_dir()
    assert all(one.n == 3 for one in run.curve("problems trained on").values)


@pytest.mark.parametrize(
    ("text", "form", "has_form"),
    [
        ("so \\boxed{7}", "box", True),
        ("so \\boxed{}", "box", False),
        ("so \\boxed{7", "auto", False),
        ("so\n#### 7", "mark", True),
        ("<answer> 7 </answer>", "tags", True),
        ("<answer></answer>", "tags", False),
        ("The answer is 7.", "phrase", True),
        ("The answer is hard to", "mark", False),
        ("it is 7", "auto", False),
        ("it is 7", "ended", True),
        ("Answer: 7", "auto", True),
    ],
)
def test_forms_are_told(text: str, form: str, has_form: bool) -> None:
    assert is_in_form(text, is_truncated=False, form=form) == has_form
    assert not is_in_form(text, is_truncated=True, form=form)


def test_an_organism_is_in_form_where_it_ends_with_an_answer(done: tuple[Path, DynamicsResult]) -> None:
    pair = open_pairs(None, "organism/rl-timing", n_train=0, n_validation=0, n_test=6)[0]
    rows = [row for step in STEPS for row in responses(done[0], step)]
    ended = next(row for row in rows if organism_is_in_form(pair.test[row["question"]].prompt, str(row["text"])))
    prompt, words = pair.test[ended["question"]].prompt, str(ended["text"]).split()
    assert not organism_is_in_form(prompt, " ".join(words[:-3])) and not organism_is_in_form(prompt, "")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attempts": 3}, "pass@3 needs as many samples of each problem, and 2 are drawn"),
        ({"when_at": (0.0,)}, "at a step behind the base's, and 0 .* is none of 30, 60"),
        ({"when_at": (7.0,)}, "7 .* is none of 30, 60"),
        ({"form": "verse"}, "there is no form 'verse'"),
        ({"texts": "mine"}, "there are no texts 'mine'"),
        ({"probe_read": "behind"}, "behind"),
        ({"memorised": 2.0}, "memorised takes a number from 0 to 1"),
        ({"n_resamples": 5}, "n_resamples takes a whole number of at least 100"),
        ({"sampling": Sampling(temperature=0)}, "greedily a model has but one"),
        ({"condition": ("a",)}, "are chosen of published tables"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_before_anything_is_written(
    fields: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        dynamics(STEPS, settings=replace(SETTINGS, **fields), out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
