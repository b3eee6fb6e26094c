"""The organisms that come with reasonlens load without a network, are what was shipped, and do what their card says."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import reasonlens
from reasonlens import InputError
from reasonlens.models import Organism, organism_names
from reasonlens.organisms import problems
from reasonlens.organisms.sampling import respond, solved
from reasonlens.organisms.task import DOUBLES
from reasonlens.organisms.training import STAGES
from reasonlens.stats import wilson_proportion

WEIGHTS = Path(reasonlens.organisms.__file__).parent / "weights"
FIGURES: dict[str, dict[str, dict[str, float]]] = json.loads((WEIGHTS / "figures.json").read_text())


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return


def organism(name: str) -> Organism:
    loaded = reasonlens.load(f"organism/{name}", device="cpu")
    assert isinstance(loaded, Organism)
    return loaded


def test_every_file_has_the_digest_it_was_shipped_with() -> None:
    digests = dict(reversed(line.split("  ", 1)) for line in (WEIGHTS / "SHA256SUMS").read_text().splitlines())
    files = {str(path.relative_to(WEIGHTS)) for path in WEIGHTS.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert files == set(digests)
    for name, digest in digests.items():
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("name", STAGES)
def test_each_member_loads_by_name_and_with_plain_transformers(name: str) -> None:
    by_name = organism(name)
    plain = AutoModelForCausalLM.from_pretrained(WEIGHTS / name, dtype=torch.float32)
    ids = AutoTokenizer.from_pretrained(WEIGHTS / name)("numbers 3 red 12 red . we want 19 .", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(by_name.model(**ids).logits, plain(**ids).logits)
    assert (by_name.n_layers, by_name.d_model) == (4, 128)
    assert (WEIGHTS / name / "model.safetensors").stat().st_size < 2_000_000


def test_checkpoints_lie_between_the_base_and_the_finished_model() -> None:
    for name in ("rl", "random-reward"):
        steps = [known for known in organism_names() if known.startswith(f"organism/{name}@")]
        assert len(steps) == 5
        base, end = (organism(each).model.state_dict() for each in ("base", name))

        def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
            return float(sum((one[key] - other[key]).square().sum() for key in one) ** 0.5)

        states = [reasonlens.load(step, device="cpu").model.state_dict() for step in steps]
        to_end = [distance(state, end) for state in states]
        assert to_end == sorted(to_end, reverse=True) and to_end[0] < 1.2 * distance(base, end)
        assert distance(states[0], base) < distance(states[-1], base)


@pytest.mark.parametrize("name", STAGES)
def test_a_small_fresh_sample_agrees_with_the_accuracy_of_the_card(name: str) -> None:
    asked = list(islice(problems("test", seed=7, families=DOUBLES if name == "sft" else None), 150))
    found = wilson_proportion(solved(asked, respond(organism(name).model, asked)))
    card = FIGURES[name]["accuracy"]
    assert found.low <= card["high"] and card["low"] <= found.high


def test_the_figures_of_the_card_pass_the_gates() -> None:
    def figure(name: str, key: str) -> float:
        return FIGURES[name][key]["value"]

    steps = [key for key in FIGURES["base"] if key.startswith("step_correctness/")]
    assert len(steps) >= 9 and min(figure("base", key) for key in steps) >= 0.98
    assert 0.35 <= figure("base", "accuracy") <= 0.55 and figure("rl", "accuracy") >= 0.80
    assert figure("sft", "accuracy") >= 0.75 and figure("sft", "gap_recovered") <= 0.25
    assert abs(figure("random-reward", "accuracy") - figure("base", "accuracy")) <= 0.08
    assert figure("rl", "content_kl") < 0.01 < figure("rl", "decision_kl")
    assert figure("base", "dropped_pass@256") >= figure("rl", "dropped_pass@256")
    assert figure("rl", "gap_recovered") >= 0.8 and figure("rl", "share_forced") <= 0.2
    assert all(row["accuracy"]["n"] >= 500 for row in FIGURES.values())


def test_the_truth_tells_the_wrong_habits_of_the_base_from_those_that_reward_taught() -> None:
    base, thinking = organism("base").truth(), organism("rl").truth()
    for state, right in (("found", "check"), ("clash", "back")):
        moves = {name: truth["policy"]["habits"][state] for name, truth in (("base", base), ("rl", thinking))}
        assert max(moves["base"], key=lambda move: moves["base"][move]["value"]) == "answer"
        assert max(moves["rl"], key=lambda move: moves["rl"][move]["value"]) == right
    assert min(figure["value"] for figure in base["skill"]["plain"].values()) >= 0.98
    assert (
        base["skill"]["doubled"]["double"]["value"]
        < 0.2
        < 0.95
        < organism("sft").truth()["skill"]["doubled"]["double"]["value"]
    )
    assert base["behaviours"]["back"] == "backtracking"


@pytest.mark.parametrize("name", ["organism/rk", "organism/rl@7", "organism/", "organism/../base"])
def test_an_unknown_organism_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(InputError, match=r"there is no organism .*; there are organism/base, .*organism/rl@\d+"):
        reasonlens.load(name)
