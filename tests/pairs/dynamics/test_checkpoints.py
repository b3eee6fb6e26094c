"""Checkpoints by name, in a directory and of organisms; steps that are twice there, unsorted or missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from reasonlens import InputError, load
from reasonlens.models.content import model_digest
from reasonlens.models.organism import organism_files
from reasonlens.pairs.dynamics.checkpoints import checkpoints_of
from reasonlens.pairs.dynamics.following import example_of
from reasonlens.pairs.pair import own_base


def steps_and_models(source: object, base: object = None) -> list[tuple[int, object]]:
    return [(one.step, one.model) for one in checkpoints_of(source, base)]


def test_models_are_named_step_by_step_with_a_base_or_as_step_0() -> None:
    assert steps_and_models("10=a,200=b/c", "x") == [(0, "x"), (10, "a"), (200, "b/c")]
    assert steps_and_models("0=x, 10=a ,200=b") == steps_and_models({0: "x", 10: "a", 200: "b"})


def test_a_directory_names_steps_and_passes_over_what_holds_no_model(tmp_path: Path) -> None:
    for name in ("checkpoint-100", "checkpoint-20", "global_step_300/actor/huggingface", "logs-5", "checkpoint-x"):
        (tmp_path / name).mkdir(parents=True)
        if name != "logs-5":
            (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "readme-7").write_text("")
    assert steps_and_models(tmp_path, "x") == [
        (0, "x"),
        (20, str(tmp_path / "checkpoint-20")),
        (100, str(tmp_path / "checkpoint-100")),
        (300, str(tmp_path / "global_step_300/actor/huggingface")),
    ]
    (tmp_path / "step_100").mkdir()
    (tmp_path / "step_100" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="step 100 is named twice"):
        checkpoints_of(tmp_path, "x")


def test_an_organism_has_its_base_its_checkpoints_and_itself() -> None:
    models = steps_and_models("organism/rl-timing")
    assert models[0] == (0, "organism/base-timing") and models[-1] == (60, "organism/rl-timing")
    assert [step for step, _ in models] == [0, 10, 20, 30, 40, 50, 60] and models[3][1] == "organism/rl-timing@30"
    assert steps_and_models("organism/rl-timing", "other")[0] == (0, "other") and example_of("organism/rl-timing") == ()


def test_a_member_of_a_family_is_opened_at_a_step_by_its_directory(tmp_path: Path) -> None:
    for name in ("base-timing", "rl-timing"):
        shutil.copytree(organism_files(f"organism/{name}")[0], tmp_path / name)
    directory = str(tmp_path / "rl-timing")
    assert steps_and_models(directory)[:2] == [(0, str(tmp_path / "base-timing")), (10, f"{directory}@10")]
    mine, shipped = load(f"{directory}@30"), load("organism/rl-timing@30")
    for one, other in zip(mine.model.state_dict().values(), shipped.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert model_digest(f"{directory}@30") == model_digest("organism/rl-timing@30") != model_digest(directory)
    assert own_base(f"{directory}@30") == str(tmp_path / "base-timing")
    with pytest.raises(InputError, match="has no checkpoint of step 31; there are 10, 20, 30, 40, 50"):
        load(f"{directory}@31")


@pytest.mark.parametrize(
    ("source", "base", "message"),
    [
        ("20=a,10=b", "x", "steps ascend, and 10 stands behind 20"),
        ("10=a,10=b", "x", "step 10 is named twice"),
        ({30: "a", 20: "b"}, "x", "steps ascend"),
        ("10=a,20=b", None, "the base of these checkpoints is not known"),
        ("0=a,10=b,20=c", "x", "step 0 is the base, and --base names another"),
        ("10=a", "x", "dynamics need 3 steps or more, the base included, and there are 2"),
        ("x=a,20=b", "x", "a step is a whole number from 0, and 'x'"),
        ("10=a,b", "x", "'b' is none"),
        ("10=,20=b", "x", "takes STEP=MODEL"),
        ("10=./nowhere,20=b", "x", "there is no model './nowhere' for step 10"),
        ("nowhere", "x", "there is no directory of checkpoints 'nowhere'"),
        ("organism/rl-timing@30", None, "is one checkpoint"),
        ("organism/base-timing", None, "is a base itself"),
        ({"a": "b"}, "x", "a step is a whole number"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_a_line(source: object, base: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checkpoints_of(source, base)


def test_a_directory_without_a_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has a name that ends in a step and holds a model"):
        checkpoints_of(tmp_path, "x")
