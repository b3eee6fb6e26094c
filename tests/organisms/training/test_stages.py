"""A family far too short to learn anything: its stages are functions of the seed, whether killed on the way or not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import reasonlens
from reasonlens.models.organism import read_record
from reasonlens.organisms.training import (
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
from reasonlens.organisms.training.directory import load_member, load_step, steps_of
from reasonlens.organisms.training.stages import single_problem
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
ROOT = Path(__file__).parents[3]
LONG = replace(TINY, trunk=replace(TINY.trunk, steps=100_000))
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.organisms.training.test_stages import {settings}
from reasonlens.organisms.training import organisms_train
if __name__ == "__main__":
    organisms_train(Path({out!r}), {settings}, jobs=1)
"""


def command(out: Path, settings: str) -> list[str]:
    script = out.with_suffix(".py")
    script.write_text(SCRIPT.format(root=str(ROOT), out=str(out), settings=settings))
    return [sys.executable, str(script)]


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


def test_a_member_knows_its_base_and_asks_to_be_measured(family: Path) -> None:
    organism = reasonlens.load(family / "rl-timing", device="cpu")
    assert isinstance(organism, reasonlens.models.Organism) and organism.base == "base-timing"
    with pytest.raises(InputError, match=r"nothing is known of rl-timing yet: `reasonlens organisms evaluate --family"):
        organism.truth()
    assert json.loads((family / "base-timing" / "organism.json").read_text())["base"] is None
    pair = reasonlens.organism_pair(str(family / "rl-timing"), n_train=1, n_validation=1, n_test=1)
    assert pair.base.name == str(family / "base-timing")


def test_a_foreign_or_damaged_directory_is_named_and_not_taken_for_an_organism(family: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    shutil.copytree(family / "rl-timing", foreign)
    (foreign / "organism.json").rename(foreign / "training.json")
    assert not isinstance(reasonlens.load(foreign, device="cpu"), reasonlens.models.Organism)
    with pytest.raises(InputError, match=r"foreign is no organism: it holds no organism\.json"):
        read_record(foreign)
    record = json.loads((family / "rl-timing" / "organism.json").read_text())
    for damage in ({"base": 3}, {"seconds": "long"}, {"seed": "one"}):
        (foreign / "organism.json").write_text(json.dumps(record | damage))
        with pytest.raises(InputError, match=r"organism\.json"):
            read_record(foreign)
    (foreign / "organism.json").write_text(json.dumps(record))
    (tmp_path / "figures.json").write_text('{"models": {}, "pairs": []}')
    loaded = reasonlens.load(foreign, device="cpu")
    assert isinstance(loaded, reasonlens.models.Organism)
    with pytest.raises(InputError, match=r"figures\.json"):
        loaded.truth()


def test_the_steps_of_a_training_are_loaded_from_its_base_to_its_end(family: Path, tmp_path: Path) -> None:
    name, settings = "one-example-timing", replace(TINY, reinforce=replace(TINY.reinforce, iterations=12))
    for parent in ("trunk", "base-timing"):
        shutil.copytree(family / parent, tmp_path / parent)
    train_stage(tmp_path, name, settings, progress=False)
    assert steps_of(tmp_path, name) == tuple(range(13))
    base, end = load_member(tmp_path, "base-timing").state_dict(), load_member(tmp_path, name).state_dict()
    states = [load_step(tmp_path, f"{name}@{step}").state_dict() for step in steps_of(tmp_path, name)]
    assert equal(states[0], base) and equal(states[-1], end) and not equal(base, end)
    assert equal(load_step(tmp_path, name).state_dict(), end)

    def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
        return float(sum((one[key] - other[key]).square().sum() for key in one) ** 0.5)

    to_end = [distance(state, end) for state in states]
    assert to_end[0] > to_end[6] > to_end[11] > 0, to_end
    example = single_problem(name, settings.seed)
    assert example.way == "hue" and example == single_problem(name, settings.seed)
    assert example != single_problem(name, settings.seed + 1)


def test_a_finished_family_is_left_alone_and_other_settings_are_refused(
    family: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = {path: path.stat().st_mtime_ns for path in family.rglob("*.safetensors")}
    with caplog.at_level("INFO", logger="reasonlens"):
        organisms_train(family, TINY)
    assert caplog.messages == [f"{name}: there already" for name in TINY.members]
    assert {path: path.stat().st_mtime_ns for path in family.rglob("*.safetensors")} == before
    with pytest.raises(InputError, match=r"holds another run \(seed 3 there, 4 asked\); choose another --out"):
        organisms_train(family, replace(TINY, seed=4))


@pytest.mark.long
def test_a_family_killed_at_any_moment_ends_with_the_same_weights(family: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    for awaited in (".trunk.state.safetensors", "base-timing", ".rl-timing.state.safetensors"):
        process = subprocess.Popen(command(out, "TINY"), stderr=subprocess.DEVNULL, start_new_session=True)
        while not (out / awaited).exists() and process.poll() is None:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    organisms_train(out, TINY, jobs=2)  # `family` had one: how many work side by side changes nothing either
    for file in family.rglob("*.safetensors"):
        mine, theirs = load_file(out / file.relative_to(family)), load_file(file)
        assert equal(mine, theirs), file.relative_to(family)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in family.iterdir())


def test_the_workers_of_a_killed_command_end_with_it(tmp_path: Path) -> None:
    out = tmp_path / "family"
    process = subprocess.Popen(command(out, "LONG"), stderr=subprocess.DEVNULL, start_new_session=True)
    while not (out / ".trunk.state.safetensors").exists() and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None
    process.kill()  # the command alone, not its workers
    process.wait()
    for _ in range(300):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError("a worker goes on training after its command was killed")


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


@pytest.mark.parametrize("die_after", [4, 5, 7])
def test_a_trunk_that_misses_the_gate_is_trained_on_and_a_killed_one_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, die_after: int
) -> None:
    settings = replace(TINY, save_every=2, trunk=replace(TINY.trunk, more_steps=3))
    tick = stages._Clock.tick

    def poor_at_first(model: object, least: float) -> dict[str, float]:
        """By the step that was reached last, whichever process reached it."""
        return {"goal": 0.5} if reached[-1] == TINY.trunk.steps else {}

    def dying(self: stages._Clock, step: int) -> None:
        reached.append(step)
        if step == die_after and (tmp_path / "killed").exists() and reached.count(step) == 1:
            raise KeyboardInterrupt

    reached: list[int] = []
    monkeypatch.setattr(stages, "poor_content", poor_at_first)
    monkeypatch.setattr(stages._Clock, "tick", dying)
    (tmp_path / "whole").mkdir()
    train_stage(tmp_path / "whole", "trunk", settings, progress=False)
    assert reached == list(range(1, 9)) and read_record(tmp_path / "whole" / "trunk")["n_steps"] == 8
    reached = []
    (tmp_path / "killed").mkdir()
    with pytest.raises(KeyboardInterrupt):
        train_stage(tmp_path / "killed", "trunk", settings, progress=False)
    train_stage(tmp_path / "killed", "trunk", settings, progress=False)
    assert reached[-1] == 8 and equal(weights(tmp_path / "whole", "trunk"), weights(tmp_path / "killed", "trunk"))
    monkeypatch.setattr(stages._Clock, "tick", tick)


def test_a_trunk_that_was_killed_after_it_passed_the_gate_is_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(TINY, save_every=TINY.trunk.steps)

    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(stages, "write_record", die)
        train_stage(tmp_path, "trunk", settings, progress=False)
    train_stage(tmp_path, "trunk", settings, progress=False)
    assert read_record(tmp_path / "trunk")["n_steps"] == TINY.trunk.steps


def test_the_first_half_of_a_further_round_has_copied_runs_and_its_rate_falls_anew() -> None:
    trunk = replace(TINY.trunk, more_steps=10)
    steps = range(trunk.steps, trunk.steps + 20)
    assert [trunk.is_copying(step) for step in steps] == ([True] * 5 + [False] * 5) * 2
    rates = [trunk.rate(step) for step in steps]
    assert rates[:10] == rates[10:] and rates[0] == trunk.rates[2] and rates[9] < rates[5] <= rates[0]


def test_nine_graded_bases_have_both_ways_of_training() -> None:
    assert len(GRADED) == 9
    assert all(f"{training}-{name}" in MEMBERS for name in GRADED for training in ("base", "rl", "sft"))


def test_a_member_without_its_parent_and_an_unknown_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rl-timing is trained from base-timing, which is not among the members"):
        organisms_train(tmp_path / "out", replace(TINY, members=("trunk", "rl-timing")))
    with pytest.raises(InputError, match="no member 'rl'"):
        parse_members("trunk, rl")
