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
from reasonlens.organisms.evaluation import Evaluation, answer
from reasonlens.stats import Interval

WEIGHTS = Path(reasonlens.organisms.__file__).parent / "weights"
FIGURES = Evaluation.from_dict(json.loads((WEIGHTS / "figures.json").read_text()))
MEMBERS = sorted(path.parent.name for path in WEIGHTS.glob("*/config.json"))
BEFORE = ("rl-timing", "rl-both")  # those with checkpoints


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
    assert sum((WEIGHTS / name).stat().st_size for name in files) < 25_000_000


@pytest.mark.parametrize("name", MEMBERS)
def test_each_member_loads_by_name_and_with_plain_transformers(name: str) -> None:
    by_name = organism(name)
    plain = AutoModelForCausalLM.from_pretrained(WEIGHTS / name, dtype=torch.float32)
    prompt = next(problems("test", 0)).prompt
    ids = AutoTokenizer.from_pretrained(WEIGHTS / name)(f"{prompt} now look sour .", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(by_name.model(**ids).logits, plain(**ids).logits)
    assert (by_name.n_layers, by_name.d_model) == (4, 128)
    assert (WEIGHTS / name / "model.safetensors").stat().st_size < 2_000_000


def test_checkpoints_lie_between_the_base_and_the_finished_model() -> None:
    for name in BEFORE:
        steps = [known for known in organism_names() if known.startswith(f"organism/{name}@")]
        assert len(steps) == 5
        end = organism(name)
        assert end.base is not None
        first, last = organism(end.base).model.state_dict(), end.model.state_dict()

        def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
            return float(sum((one[key] - other[key]).square().sum() for key in one) ** 0.5)

        states = [reasonlens.load(step, device="cpu").model.state_dict() for step in steps]
        to_end = [distance(state, last) for state in states]
        assert to_end == sorted(to_end, reverse=True) and to_end[0] < 1.2 * distance(first, last)
        assert distance(states[0], first) < distance(states[-1], first)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "rl-timing" else pytest.mark.long) for name in MEMBERS]
)
def test_a_small_fresh_sample_agrees_with_the_accuracy_of_the_card(name: str) -> None:
    found = answer(organism(name).model, list(islice(problems("test", seed=7), 60)), 1, seed=7).accuracy
    card = FIGURES.models[name].accuracy
    assert found.low <= card.high and card.low <= found.high


def test_the_figures_of_the_card_pass_the_gates() -> None:
    assert FIGURES.chance_pass_at_256 <= 0.05
    for name, pair in FIGURES.pairs.items():
        assert pair.gap.n >= 200, name
        if name.endswith(("timing", "skill", "both")) and not name.startswith("collapse"):
            assert pair.gap.value >= 0.2 and pair.gap.low > 0.1, name
    for training in ("rl", "sft"):
        timing, skill, both = (
            FIGURES.pairs[f"{training}-{lack}"].timing_share.value for lack in ("timing", "skill", "both")
        )
        assert timing >= 0.9 and skill <= 0.15 and skill + 0.1 < both < timing - 0.1


def test_the_truth_of_a_pair_tells_timing_from_skill() -> None:
    timing, skill = organism("rl-timing").truth(), organism("rl-skill").truth()
    assert timing["pair"]["timing_share"]["value"] > 0.9 > 0.2 > skill["pair"]["timing_share"]["value"]
    assert organism("rl-timing").base == "base-timing" and organism("base-timing").base is None
    base = organism("base-skill").truth()
    assert base["pair"] is None
    weak = [truth["model"]["steps"]["try-hue-weak"]["value"] for truth in (base, skill)]
    assert weak[0] < 0.65 < 0.9 < weak[1]


def test_no_interval_of_the_figures_is_empty() -> None:
    for name, pair in FIGURES.pairs.items():
        for share in (pair.gap, pair.timing_share, pair.skill_share):
            assert isinstance(share, Interval) and share.low < share.value < share.high, name


@pytest.mark.parametrize("name", ["organism/rk", "organism/rl-timing@7", "organism/", "organism/../base-timing"])
def test_an_unknown_organism_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(
        InputError, match=r"there is no organism .*; there are organism/base-both, .*organism/rl-\w+@\d+"
    ):
        reasonlens.load(name)
