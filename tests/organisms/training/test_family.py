"""A whole family, far too short to learn anything: what it leaves behind, and that a kill changes nothing of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import reasonlens
from reasonlens import InputError
from reasonlens.models.difference import add_difference
from reasonlens.organisms.training import (
    STAGES,
    DistillSettings,
    FamilySettings,
    PretrainSettings,
    ReinforceSettings,
    organisms_train,
    train_stage,
)
from reasonlens.organisms.training.distill import right_texts

TINY = FamilySettings(
    seed=3,
    members=("base", "rl", "random-reward", "one-example", "sft"),
    pretrain=PretrainSettings(steps=6, texts=4, batches=2, problems=40, warmup_steps=2),
    reinforce=ReinforceSettings(iterations=6, problems=2, samples=2),
    distill=DistillSettings(steps=4, texts=4, problems=16),
    save_every=5,
    truth_problems=4,
    least_skill=0.0,
)
ROOT = Path(__file__).parents[3]
LONG = replace(TINY, pretrain=replace(TINY.pretrain, steps=100_000))
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.organisms.training.test_family import TINY
from reasonlens.organisms.training import organisms_train
if __name__ == "__main__":
    organisms_train(Path({out!r}), TINY, jobs=1)
"""


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("family")
    seconds = organisms_train(out, TINY, jobs=2)
    assert set(seconds) == set(TINY.members) and all(took > 0 for took in seconds.values())
    return out


def test_every_member_is_an_ordinary_model_directory_of_16_bits(family: Path) -> None:
    for name in TINY.members:
        weights = load_file(family / name / "model.safetensors")
        assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
        model = AutoModelForCausalLM.from_pretrained(family / name)
        assert sum(weight.numel() for weight in model.parameters()) < 1_000_000
        assert AutoTokenizer.from_pretrained(family / name)("we want 19 .")["input_ids"][0] == model.config.bos_token_id
        organism = reasonlens.load(family / name, device="cpu")
        assert isinstance(organism, reasonlens.models.Organism)
        assert set(organism.truth()) == {"policy", "skill", "behaviours"}
    assert sorted(path.name for path in family.iterdir()) == sorted([*TINY.members, "run.json"])  # no state left behind


def test_the_members_differ_from_the_base_and_the_checkpoints_lie_on_the_way(family: Path) -> None:
    base = load_file(family / "base" / "model.safetensors")
    for name in TINY.members:
        if name != "base":
            member = load_file(family / name / "model.safetensors")
            assert any(not torch.equal(member[key], base[key]) for key in base)
    for name in ("rl", "random-reward"):
        steps = sorted((family / name / "steps").iterdir())
        assert [path.stem for path in steps] == ["0001", "0002", "0003", "0004", "0005"]
        first = AutoModelForCausalLM.from_pretrained(family / "base", dtype=torch.float32)
        add_difference(first, steps[0])
        assert any(
            not torch.equal(weight, base[key].float()) for key, weight in first.state_dict().items() if key in base
        )
    assert not (family / "sft" / "steps").exists()


def test_a_finished_family_is_left_alone_and_other_settings_are_refused(family: Path, caplog) -> None:
    before = {path: path.stat().st_mtime_ns for path in family.rglob("*.safetensors")}
    with caplog.at_level("INFO", logger="reasonlens"):
        organisms_train(family, TINY)
    assert caplog.messages == [f"{name}: there already" for name in STAGES if name in TINY.members]
    assert {path: path.stat().st_mtime_ns for path in family.rglob("*.safetensors")} == before
    with pytest.raises(InputError, match=r"holds another run \(seed 3 there, 4 asked\); choose another --out"):
        organisms_train(family, replace(TINY, seed=4))


@pytest.mark.long
def test_a_family_killed_at_any_moment_ends_with_the_same_weights(family: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(out=str(out), root=str(ROOT)))
    for awaited in (".base.state.safetensors", "base", ".rl.state.safetensors"):
        process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL, start_new_session=True)
        while not (out / awaited).exists() and process.poll() is None:
            time.sleep(0.02)
        assert process.poll() is None, f"it ended before {awaited} was there"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    organisms_train(out, TINY, jobs=1)  # `family` had two: how many work side by side changes nothing either
    for file in family.rglob("*.safetensors"):
        mine, theirs = load_file(out / file.relative_to(family)), load_file(file)
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs), file.relative_to(family)
    for name in TINY.members:
        mine, theirs = (json.loads((where / name / "truth.json").read_text()) for where in (out, family))
        assert mine == theirs
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in family.iterdir())


def test_the_workers_of_a_killed_command_end_with_it(tmp_path: Path) -> None:
    out, script = tmp_path / "family", tmp_path / "train.py"
    script.write_text(SCRIPT.format(out=str(out), root=str(ROOT)).replace("TINY,", "LONG,").replace("TINY", "LONG"))
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL, start_new_session=True)
    while not (out / ".base.state.safetensors").exists() and process.poll() is None:
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


def test_what_a_family_cannot_be_trained_from_is_named(tmp_path: Path, family: Path) -> None:
    with pytest.raises(InputError, match="sft-same is trained from rl, which is not among the members"):
        organisms_train(tmp_path, FamilySettings(members=("base", "sft-same")))
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"must say 98% of every step rightly, and does not \(want 0.000, "):
        train_stage(tmp_path, "base", replace(TINY, least_skill=0.98))
    assert not (tmp_path / "base").exists()
    with pytest.raises(InputError, match="solves none of 5 training problems"):
        right_texts(reasonlens.load(family / "rl", device="cpu").model, 5, seed=0)
