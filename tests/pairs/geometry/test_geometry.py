"""A pair from its problems to its page: every part, gone on with where it was cut off, refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForCausalLM, LlamaConfig

from reasonlens import GeometryResult, GeometrySettings, InputError, geometry
from reasonlens.models import wrap
from reasonlens.pairs import Pair
from reasonlens.pairs.geometry import PARTS
from reasonlens.pairs.geometry.probe_transfer import probe_transfers
from reasonlens.stats import Interval

from .made import SETTINGS, both, drawn, pair_of, rotation
from .results import EVIL, geometry_result

CHOSEN = replace(SETTINGS, layers="0,2")


@pytest.fixture(scope="module")
def pair(tiny: Callable) -> Pair:
    return pair_of(tiny, n_problems=9)


@pytest.fixture(scope="module")
def run(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> tuple[GeometryResult, Path]:
    """Every part of the pair, and its directory."""
    out = tmp_path_factory.mktemp("geometry") / "run"
    return geometry(pairs=[pair], settings=CHOSEN, out=out, progress=False), out


def test_every_part_is_measured_and_stands_in_the_files(run: tuple[GeometryResult, Path]) -> None:
    result, out = run
    (made,) = result.pairs.values()
    assert made.left_out == {} and made.n_problems == 9 and made.n_spans > 20
    assert len(made.cosines) == len(made.transfers) // 2 == 6 and len(made.overlaps) == 2
    assert len(made.similarities) == 4 and len(made.tokens) == 2 * 6 * 2 * 2
    assert made.grafts is not None and made.grafts.of("mlp").gap.value == 1
    first = [one for one in made.cosines if one.layer == 0]
    assert all(abs(one.cosine.value) < 0.99 for one in first)  # the MLP of block 0 is another one
    assert {path.stem for path in (out / "tables").iterdir()} == set(result.tables())
    again = GeometryResult.from_dict(json.loads((out / "results.json").read_text()))
    assert again.to_dict() == result.to_dict() and again.in_words() == result.in_words()
    assert again.in_words()[-1].startswith("made. Cannot say: responses that were cut off")
    verdict = json.loads((out / "results.json").read_text())["verdicts"]["made"]
    assert verdict["rule"] == "open" and verdict["refutable_by"]


def test_a_run_that_was_cut_off_goes_on_to_the_same_results(
    pair: Pair, run: tuple[GeometryResult, Path], tmp_path: Path
) -> None:
    result, out = run
    whole = (out / "results.json").read_bytes()
    copy = tmp_path / "run"
    shutil.copytree(out, copy)
    log = copy / "made" / "responses" / "grafts" / "mlp-permuted-0.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:4]) + lines[4][:20])
    for name in ("parts/grafts.json", "parts/cosines.json", "activations/thinking.safetensors"):
        (copy / "made" / name).unlink()
    (copy / "results.json").unlink()
    resumed = geometry(pairs=[pair], settings=CHOSEN, out=copy, progress=False)
    assert (copy / "results.json").read_bytes() == whole and log.read_text() == "".join(lines)
    assert resumed.to_dict() == result.to_dict()


def test_parts_are_added_in_the_same_directory_and_other_settings_are_refused(
    pair: Pair, run: tuple[GeometryResult, Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    few = geometry(pairs=[pair], settings=replace(CHOSEN, parts=("cka",)), out=out, progress=False)
    (made,) = few.pairs.values()
    assert made.similarities and not made.cosines and made.grafts is None and set(few.tables()) == {"cka", "cka_layers"}
    more = geometry(pairs=[pair], settings=replace(CHOSEN, parts=("cka", "angles")), out=out, progress=False)
    (made,) = more.pairs.values()
    (complete,) = run[0].pairs.values()
    assert made.overlaps == complete.overlaps and made.similarities[0].cka == complete.similarities[0].cka
    with pytest.raises(InputError, match="holds another run"):
        geometry(pairs=[pair], settings=replace(CHOSEN, seed=1), out=out, progress=False)


def test_equal_models_are_alike_in_every_part(pair: Pair) -> None:
    same = replace(pair, base=pair.thinking)
    settings = replace(CHOSEN, parts=("cosines", "angles", "cka"))
    (made,) = geometry(pairs=[same], settings=settings, progress=False).pairs.values()
    assert all(one.cosine.low == pytest.approx(1) and not one.is_above_shuffled for one in made.cosines)
    assert all(one.overlap.value == pytest.approx(1) for one in made.overlaps)
    assert all(one.cka.value == pytest.approx(1) for one in made.similarities if one.is_like)


def test_models_of_other_depth_and_width_are_compared_as_far_as_they_can_be(pair: Pair) -> None:
    def other(**sizes: int) -> Pair:
        shape = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48} | sizes
        config = LlamaConfig(vocab_size=400, num_attention_heads=4, num_key_value_heads=2, **shape)
        model = wrap(AutoModelForCausalLM.from_config(config), pair.base.tokenizer, name="other")
        return replace(pair, thinking=model, grader=lambda question, response: True)

    settings = replace(SETTINGS, n_resamples=4)
    (shallow,) = geometry(pairs=[other()], settings=settings, progress=False).pairs.values()
    assert set(shallow.left_out) == {"transfer", "grafts"} and shallow.similarities and shallow.overlaps
    assert {(one.layer, one.thinking_layer) for one in shallow.cosines} == {(0, 0), (1, 0), (2, 1)}
    (wide,) = geometry(pairs=[other(hidden_size=64)], settings=settings, progress=False).pairs.values()
    assert set(wide.left_out) == {"cosines", "angles", "transfer", "grafts"} and len(wide.similarities) == 6
    assert any(sentence.startswith("Without grafts: weights of") for sentence in wide.in_words())
    for part, message in (("transfer", "has 3 blocks and other 2"), ("grafts", "cannot be exchanged")):
        with pytest.raises(InputError, match=f"no {part}: .*{message}"):
            geometry(pairs=[other()], settings=replace(settings, parts=(part,)), progress=False)
    with pytest.raises(InputError, match="is 32 wide and other 64"):
        geometry(pairs=[other(hidden_size=64)], settings=replace(settings, parts=("angles",)), progress=False)


def test_probes_carry_over_to_an_equal_model_and_not_to_a_turned_one() -> None:
    values, labels, problems = drawn(n_problems=9, n_each=6, effect=3.0)
    values = values[:, :1]
    noise = 0.1 * np.random.default_rng(8).standard_normal(values.shape)
    settings = replace(SETTINGS, n_resamples=30)
    alike, turned = (
        probe_transfers(both(values, other, labels, problems), settings)
        for other in (values + noise, values @ rotation(24))
    )
    assert len(alike) == 2 * 3
    for one in alike:
        assert one.auroc.value > 0.9 and abs(one.auroc.value - one.own.value) < 0.03
        assert 0.2 < one.shuffled.value < 0.8
    assert all(one.own.value > 0.9 for one in turned) and np.mean([one.auroc.value for one in turned]) < 0.8


def test_a_carried_probe_is_above_what_its_interval_leaves_below() -> None:
    (one, *_) = geometry_result().pairs[EVIL].transfers
    assert one.is_above and one.auroc.low == pytest.approx(0.75)
    for field, interval in (("baseline", Interval(0.7, 0.6, 0.76)), ("shuffled", Interval(0.5, 0.4, 0.76))):
        assert not replace(one, **{field: interval}).is_above
    assert not replace(one, auroc=Interval(0.8)).is_above  # without an interval nothing is


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": ("angels",)}, "there is no part 'angels'.*Did you mean 'angles'"),
        ({"parts": ()}, "parts names nothing"),
        ({"estimator": "svm"}, "there is no kind of probe 'svm'"),
        ({"n_controls": 0}, "n_controls takes a whole number"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GeometrySettings(**settings)


def test_too_few_problems_are_refused_in_a_line(pair: Pair) -> None:
    with pytest.raises(InputError, match="to 3 problems, and 6 are the least"):
        geometry(pairs=[replace(pair, test=pair.test[:3])], settings=SETTINGS, progress=False)
    assert set(PARTS) == {"cosines", "angles", "transfer", "cka", "tokens", "grafts"}
