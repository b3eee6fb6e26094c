"""A whole small experiment on the organisms, where the truth is known: made once, looked at from all sides."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from reasonlens.activations import Activations, collect
from reasonlens.figures import Result
from reasonlens.generation import Sampling, encode_prompts, write
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import HybridResult, HybridSettings, PairRun, hybrid
from reasonlens.pairs.hybrid import make_components as making
from reasonlens.pairs.hybrid import measure as measure_module
from reasonlens.pairs.hybrid import networks as networks_module
from reasonlens.pairs.hybrid import next_sentence as next_sentence_module
from reasonlens.pairs.hybrid import probe_fit as probe_fit_module
from reasonlens.pairs.hybrid import rollouts as rollouts_module
from reasonlens.pairs.hybrid.arm_run import steered_strengths
from reasonlens.pairs.hybrid.evidence import Evidence
from reasonlens.pairs.hybrid.next_sentence import next_sentence
from reasonlens.pairs.hybrid.verdict_rules import verdict_of
from reasonlens.rundir import InputError
from reasonlens.traces import Trace
from reasonlens.vectors import Direction, Directions, steer
from tests.pairs.hybrid.planted import planted_pair, planted_vector

pytestmark = pytest.mark.xdist_group("hybrid experiment")

SETTINGS = HybridSettings(
    arms=(
        *("probe-gated", "network-strength", "oracle", "forcing", "bias", "random-vectors", "random-behaviour"),
        *("random-positions", "shuffled-strengths", "word-boost"),
    ),
    mechanism="joint",
    layers=(0,),
    strengths=(0.5,),
    boosts=(4.0,),
    thresholds=(-4.0, -2.0, 0.0),
    n_train=80,
    n_validation=20,
    n_test=40,
    n_seeds=2,
    n_rows=40,
    rollout=Sampling(n_samples=1, temperature=0, max_new_tokens=287),
    sampling=Sampling(n_samples=1, temperature=0, max_new_tokens=287),
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[HybridResult, Path]:
    out = tmp_path_factory.mktemp("hybrid") / "h"
    pair = planted_pair(n_train=80, n_validation=20, n_test=40)
    return hybrid(pairs=[pair], settings=SETTINGS, out=out, progress=False), out


def run_of(done: tuple[HybridResult, Path]) -> PairRun:
    run = done[0].pairs["rl-timing"].run
    assert run is not None
    return run


def files(out: Path) -> dict[str, bytes]:
    """All but the record of the run, which holds its times."""
    found = [file for file in out.rglob("*") if file.is_file() and file.name not in ("run.json", ".lock")]
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in found}


def test_a_base_whose_trouble_is_one_vector_is_helped_by_steering_and_not_by_controls(
    done: tuple[HybridResult, Path],
) -> None:
    arms = done[0].pairs["rl-timing"].arms
    assert arms["hybrid"].gap > 0.5 and arms["hybrid"].steered < 0.2
    for control in ("random-vectors", "random-positions"):
        assert arms[control].gap < arms["hybrid"].gap - 0.2, control
    others = {name: arm for name, arm in arms.items() if name != "word-boost"}
    verdict = str(verdict_of(Evidence(arms=others, has_prompt=False)))
    assert "one push for all may do as well" in verdict, verdict


def test_the_planted_vector_taken_off_again_gives_the_thinking_model() -> None:
    pair = planted_pair(n_train=1, n_validation=1, n_test=6)
    prompts = encode_prompts(pair.base, [question.prompt for question in pair.test])
    direction = Direction.of(-planted_vector(), layers=0)
    expected, spoilt = (write(model, prompts, SETTINGS.sampling) for model in (pair.thinking, pair.base))
    with steer(pair.base, direction, layer=0, strength=1.0, absolute=True, when="all"):
        found = write(pair.base, prompts, SETTINGS.sampling)
    assert [each.text for each in found] == [each.text for each in expected] != [each.text for each in spoilt]


def test_taken_over_wherever_they_differ_the_base_is_the_thinking_model(done: tuple[HybridResult, Path]) -> None:
    run = run_of(done)
    texts = {name: [each.text for each in run.arms[name].records[0]] for name in ("oracle", "thinking")}
    assert texts["oracle"] == texts["thinking"]


def test_an_arm_with_seeds_is_reported_over_all_of_them(done: tuple[HybridResult, Path]) -> None:
    run = run_of(done)
    arm = done[0].pairs["rl-timing"].arms["random-vectors"]
    assert arm.n_seeds == 2 and arm.n == 40
    assert arm.accuracy == pytest.approx(np.mean(run.arms["random-vectors"].is_solved))


def test_strengths_of_the_network_vary_and_are_what_is_shuffled(done: tuple[HybridResult, Path]) -> None:
    run = run_of(done)
    assert len(set(steered_strengths(run.arms["hybrid"].records[0]))) == 1
    strengths = steered_strengths(run.arms["network-strength"].records[0])
    assert len(set(strengths)) > 10 and min(strengths) > 0
    assert set(steered_strengths(run.arms["shuffled-strengths"].records[0])) <= set(np.float32(strengths).tolist())
    assert {"hybrid", "probe-gated", "word-boost", "network-strength"} == set(run.search["arm"])
    choices = Directions.open(done[1] / "rl-timing" / "found.safetensors").choices
    assert {(at.layer, at.strength) for at in choices.values()} == {(run.tuned.layer, run.tuned.strength)}
    assert set(choices) == set(run.components.behaviours)
    assert done[0].pairs["rl-timing"].arms["network-strength"].gap > 0.4


def test_what_comes_next_is_as_decodable_from_the_base_and_noise_is_not(done: tuple[HybridResult, Path]) -> None:
    run = run_of(done)
    table = run.next_sentence.set_index(["model", "behaviour"])
    for behaviour in ("backtracking", "verification"):
        base, thinking = (table.loc[(who, behaviour), "auroc"] for who in ("base", "thinking"))
        assert base > 0.9 and abs(base - thinking) < 0.05
    random = np.random.default_rng(0)
    noise = [
        replace(each, spans=tuple(replace(span, label=random.choice(["backtracking", "other"])) for span in each.spans))
        for each in run.components.traces
    ]
    shuffled = next_sentence(run.pair, noise, run.tuned.layer, ("backtracking", "other"))
    assert (shuffled["auroc"] - 0.5).abs().max() < 0.12


def test_a_result_read_back_from_json_gives_the_same_figures(done: tuple[HybridResult, Path]) -> None:
    result, out = done
    written = json.loads((out / "results.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(result.to_dict(), allow_nan=False))
    again = HybridResult.from_dict(written)
    assert isinstance(result, Result) and isinstance(again, Result)
    assert again.to_dict() == result.to_dict() and again.settings == result.settings
    pd.testing.assert_frame_equal(again.to_frame(), result.to_frame())
    assert again.figure().to_json() == result.figure().to_json()
    assert again.pairs["rl-timing"].verdict.to_dict() == written["pairs"]["rl-timing"]["verdict"]
    assert escape(str(result.pairs["rl-timing"].verdict)) in result.report(), "one sentence in file, page and terminal"
    assert again.pairs["rl-timing"].run is None and "<h2>rl-timing: spoilt" in again.report()
    assert "rl-timing: It is not shown" in repr(result) and len(repr(result)) < 400
    with pytest.raises(InputError, match="this is no reasonlens.hybrid/6, its format is .reasonlens.hybrid/1."):
        HybridResult.from_dict({"format": "reasonlens.hybrid/1"})


def test_the_library_writes_what_the_command_writes(done: tuple[HybridResult, Path], tmp_path: Path) -> None:
    result, out = done
    assert {"results.json", "table.csv", "tables", "report.html", "run.json", "rl-timing"} == {
        file.name for file in out.iterdir() if file.name != ".lock"
    }
    result.write(tmp_path / "copy")
    for name in ("results.json", "table.csv", "tables/gap.json", "tables/search.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (out / name).read_bytes(), name
    run = json.loads((out / "run.json").read_text("utf-8"))
    assert run["command"] == "hybrid" and run["state"] == "done" and run["seeds"]["seed"] == 0


def test_the_page_escapes_what_models_write(done: tuple[HybridResult, Path]) -> None:
    run, pair = run_of(done), done[0].pairs["rl-timing"]
    asked = tuple(replace(question, prompt="<script>alert(1)</script>") for question in run.pair.test)
    hostile = replace(pair, run=replace(run, pair=replace(run.pair, test=asked)))
    page = HybridResult(pairs={"rl-timing": hostile}, settings=SETTINGS).report()
    assert "How much of the gap each arm recovers" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert(1)</script>" not in page


def test_measures_are_computed_once_for_all_tables_figures_and_pages(
    done: tuple[HybridResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, out = done
    monkeypatch.setattr(measure_module, "measure_arm", _never)
    monkeypatch.setattr(measure_module, "accuracy_over_groups", _never)
    result.report(), result.to_frame(), result.figure(), result.to_dict(), result._repr_html_()
    again = hybrid(pairs=[run_of(done).pair], settings=SETTINGS, out=_copied(out, tmp_path), progress=False)
    pd.testing.assert_frame_equal(again.to_frame(), result.to_frame())


@pytest.mark.long
def test_a_run_that_was_cut_off_goes_on_and_ends_in_the_same_bytes(
    done: tuple[HybridResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, out = done
    again = _copied(out, tmp_path)
    for file in [
        *(again / "rl-timing" / "arms").iterdir(),
        again / "rl-timing" / "search.jsonl",
        again / "rl-timing" / "measures.jsonl",
    ]:
        content = file.read_bytes()
        cut = content.index(b"\n", len(content) // 2) + 1
        file.write_bytes(content[: cut + 40])  # half, and a line that was being written
    (again / "rl-timing" / "arms" / "shuffled-strengths.jsonl").unlink()
    (again / "results.json").unlink()
    _forbid(monkeypatch, rollouts_module, "write")
    _forbid(monkeypatch, making, "optimised_directions", "fit_probes")
    _forbid(monkeypatch, networks_module, "fit_coefficients")
    _forbid(monkeypatch, probe_fit_module, "token_table")
    hybrid(pairs=[run_of(done).pair], settings=SETTINGS, out=again, progress=False)
    assert files(again) == files(out)


def _copied(out: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(out, tmp_path / "again"))


def _forbid(monkeypatch: pytest.MonkeyPatch, module: ModuleType, *names: str) -> None:
    for name in names:
        monkeypatch.setattr(module, name, _never)


def _never(*_: object, **__: object) -> None:
    raise AssertionError("this was made already")


def test_what_comes_next_is_read_from_each_model_after_its_own_prompt(
    done: tuple[HybridResult, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str, list[int]]] = []

    def watched(model: LanguageModel, traces: list[Trace], **options: Any) -> Activations:
        seen.append((model.name, options["template"], options["layers"]))
        return collect(model, traces, **options)

    monkeypatch.setattr(next_sentence_module, "collect", watched)
    run = run_of(done)
    pair = replace(run.pair, base_template="plain")
    table = next_sentence(pair, run.components.traces, 1, ("backtracking",))
    assert seen == [("spoilt", "plain", [1]), ("organism/rl-timing", "auto", [1])]
    assert table["model"].tolist() == ["base", "thinking"]
    assert table["auroc"].nunique() == 2, "the two models' own activations"
    assert next_sentence(pair, run.components.traces[:3], 1, ("backtracking",)).empty
