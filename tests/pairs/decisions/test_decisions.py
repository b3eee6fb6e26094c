"""A whole measurement of tiny models: resumed equals uninterrupted, one equals many, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reasonlens import DecisionsResult, DecisionsSettings, InputError, decisions, organism_pair
from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel
from reasonlens.pairs import Pair
from reasonlens.pairs.decisions._decisions import _concentration
from reasonlens.pairs.decisions.answers import answers_of
from reasonlens.pairs.decisions.places import CONTENT, DECISION, KIND
from reasonlens.pairs.decisions.swapping import ALONE
from reasonlens.rundir import RunDirectory

from .made import made_pair

SETTINGS = DecisionsSettings(
    budgets=(0.3,),
    headline=0.3,
    sampling=Sampling(n_samples=2, temperature=1.0, top_p=1.0, max_new_tokens=6),
    n_validation=2,
    n_test=4,
    n_rows=16,
)


def measured(pair: Pair, out: Path | None, **changes: Any) -> DecisionsResult:
    return decisions(pairs=[pair], settings=replace(SETTINGS, **changes), out=out, progress=False)


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, Path, DecisionsResult]:
    pair = made_pair(request.getfixturevalue("tiny"))
    out = tmp_path_factory.mktemp("decisions") / "run"
    return pair, out, measured(pair, out)


def test_every_arm_is_measured_both_ways_and_budgets_are_met(run: tuple[Pair, Path, DecisionsResult]) -> None:
    _, _, result = run
    pair = result.pairs["tiny"]
    cells = {(point.writer, point.chooser, point.budget) for point in pair.points}
    assert len(cells) == len(pair.points) == 2 * (2 + 4)
    for writer in ("base", "thinking"):
        none, every = pair.point(writer, 0.0, "ends"), pair.point(writer, 1.0, "ends")
        other = pair.point("thinking" if writer == "base" else "base", 0.0, "ends")
        assert (none.swapped.value, every.swapped.value) == (0, 1)
        assert every.accuracy == other.accuracy
        assert pair.point(writer, 0.3).swapped.value == pytest.approx(0.3, abs=0.2)
        assert set(pair.verdicts) == {"base", "thinking"}
    assert len(result.sentences("tiny")) >= 5 and "positions diverge" in result.sentences("tiny")[1]


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(run: tuple[Pair, Path, DecisionsResult]) -> None:
    pair, out, result = run
    files = [out / "tiny" / name for name in ("base-alone.jsonl", "thinking-swapped.jsonl", "thresholds/base.jsonl")]
    before = {path: path.read_bytes() for path in (out / "results.json", *files)}
    for path in files:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:4]) + lines[4][:30])
    assert measured(pair, out).to_dict() == result.to_dict()
    assert before == {path: path.read_bytes() for path in before}
    with pytest.raises(InputError, match="holds another run"):
        measured(pair, out, near_zero=0.5)


def test_a_pair_with_itself_has_no_divergence_and_every_arm_is_the_model_alone(
    tiny: Callable[..., LanguageModel],
) -> None:
    pair = measured(made_pair(tiny, is_one=True), None).pairs["tiny"]
    assert pair.gap.value == 0 and {verdict.rule for verdict in pair.verdicts.values()} == {"no gap"}
    assert all(one.near_zero.value == 1 and one.js.value < 1e-6 for one in pair.concentrations)
    assert {point.changed.value for point in pair.points} == {0}
    assert len({point.accuracy for point in pair.points}) == 1
    assert pair.point("base", 0.3, "random").swapped.value < 0.3  # no token can be changed, so none need be swapped


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": ()}, "budgets are shares of the tokens above 0 and below 1"),
        ({"budgets": (0.2, 1.0)}, "not .0.2, 1.0."),
        ({"headline": 0.2}, "0.2 is none of them"),
        ({"near_zero": 0.0}, "not 0.0"),
        ({"n_validation": 1}, "1 to choose on"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SETTINGS, **changes)


def test_a_pair_without_problems_to_choose_on_is_refused(tiny: Callable[..., LanguageModel], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tiny has no validation problems"):
        measured(replace(made_pair(tiny), validation=()), tmp_path / "run")
    with pytest.raises(InputError, match="tested on one problem"):
        measured(replace(made_pair(tiny), test=made_pair(tiny).test[:1]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_quick_run_keeps_the_headline_and_json_holds_no_nan() -> None:
    quick = DecisionsSettings().quicker()
    assert quick.budgets == (0.08,) and quick.n_test == 25
    assert json.loads(json.dumps(quick.budgets)) == [0.08]


@pytest.mark.long
def test_divergence_is_on_decisions_where_training_taught_when_and_on_content_where_it_taught_how() -> None:
    """Planted: `rl-timing` is 0.95 timing; `sft-skill` 0.88 skill, and its decisions hardly moved."""
    shares = {}
    for name in ("rl-timing", "sft-skill"):
        pair = organism_pair(f"organism/{name}", n_train=0, n_validation=0, n_test=10)
        settings = DecisionsSettings(n_test=10)
        with RunDirectory(None, "decisions") as run:
            alone = answers_of(pair, "thinking", {"alone": ALONE}, settings, run, False, keeps_places=True)["alone"]
        measured = _concentration(pair, "thinking", alone, settings)
        shares[name] = {kind: measured.group(KIND, kind) for kind in (DECISION, CONTENT)}
    assert shares["rl-timing"][DECISION].divergence_share.low > 0.6
    assert shares["rl-timing"][DECISION].lift.low > 1 > shares["rl-timing"][CONTENT].lift.high
    assert shares["sft-skill"][CONTENT].divergence_share.low > 0.6
    assert shares["sft-skill"][CONTENT].lift.low > 1 > shares["sft-skill"][DECISION].lift.high
