"""A family far too short to learn anything: its stages are functions of the seed, whether killed on the way or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reasonlens.organisms.fair.training import (
    GRADED,
    MEMBERS,
    AdaptSettings,
    DistillSettings,
    FamilySettings,
    ReinforceSettings,
    TrunkSettings,
    organisms_train,
    parse_members,
    stages,
    train_stage,
)
from reasonlens.rundir import InputError

TINY = FamilySettings(
    seed=3,
    members=("trunk", "base-timing", "rl-timing", "sft-timing"),
    trunk=TrunkSettings(
        restart_from=1,
        run_from=2,
        texts_from=3,
        match_from=4,
        copying_until=5,
        steps=5,
        periodic_texts=8,
        restart_texts=8,
        run_texts=2,
        match_texts=2,
        habit_texts=2,
        drill_texts=2,
        problems=20,
    ),
    adapt=AdaptSettings(steps=2, texts=2, drill_texts=2, problems=20),
    reinforce=ReinforceSettings(iterations=3, problems=2, samples=2),
    distill=DistillSettings(steps=2, texts=2, problems=8),
    least_content=0.0,
    save_every=4,
)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("family")
    organisms_train(out, TINY, jobs=1, progress=False)
    return out


def weights(out: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(out / name / "model.safetensors")


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_every_member_is_trained_and_differs_from_its_parent(family: Path) -> None:
    assert sorted(path.name for path in family.iterdir()) == sorted([*TINY.members, "run.json"])
    for name in TINY.members[1:-2]:
        parent = MEMBERS[name].parent
        assert parent is not None
        assert not equal(weights(family, name), weights(family, parent))


@pytest.mark.parametrize("name", ["trunk", pytest.param("random-frequent-good", marks=pytest.mark.long)])
@pytest.mark.parametrize("die_after", [1, 5])
def test_a_killed_stage_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, die_after: int
) -> None:
    settings = replace(TINY, trunk=replace(TINY.trunk, steps=6))
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
        if name != "trunk":
            train_stage(tmp_path / folder, "trunk", settings, progress=False)
            train_stage(tmp_path / folder, "base-frequent-good", settings, progress=False)
    train_stage(tmp_path / "whole", name, settings, progress=False)
    tick = stages._Clock.tick

    def die(self: object, step: int) -> None:
        if step == die_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(stages._Clock, "tick", die)
    with pytest.raises(KeyboardInterrupt):
        train_stage(tmp_path / "killed", name, settings, progress=False)
    monkeypatch.setattr(stages._Clock, "tick", tick)
    train_stage(tmp_path / "killed", name, settings, progress=False)
    assert equal(weights(tmp_path / "whole", name), weights(tmp_path / "killed", name))


def test_nine_graded_bases_have_both_ways_of_training() -> None:
    assert len(GRADED) == 9
    assert all(f"{training}-{name}" in MEMBERS for name in GRADED for training in ("base", "rl", "sft"))


def test_a_member_without_its_parent_and_an_unknown_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rl-timing is trained from base-timing, which is not among the members"):
        organisms_train(tmp_path / "out", replace(TINY, members=("trunk", "rl-timing")))
    with pytest.raises(InputError, match="no member 'rl'"):
        parse_members("trunk, rl")
