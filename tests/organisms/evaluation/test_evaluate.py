"""A whole evaluation of organisms made of rules, killed and taken up; and of networks in a directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonlens.organisms.evaluation import EvaluateSettings, Evaluation, evaluate, organisms_evaluate
from reasonlens.organisms.evaluation.chance import UNIFORM
from reasonlens.organisms.language import tokenizer
from reasonlens.organisms.policy import IDEAL, mixed
from reasonlens.organisms.training.architecture import new_model
from reasonlens.rundir import InputError

from ..rules import RuleModel

SETTINGS = EvaluateSettings(
    problems=30,
    samples=2,
    divergence_texts=10,
    chance_islands=2,
    chance_rows=24,
    pass_problems=2,
    pass_samples=4,
    intervention_texts=0,
)
MODELS = {
    "base-timing": RuleModel(mixed(0.5)),
    "rl-timing": RuleModel(mixed(0.02)),
    "sft-timing": RuleModel(IDEAL),
    "base-skill": RuleModel(IDEAL, 0.6),
    "rl-skill": RuleModel(IDEAL, 0.97),
    "base-none": RuleModel(IDEAL),
}
PAIRS = {
    "rl-timing": ("base-timing", "rl-timing"),
    "sft-timing": ("base-timing", "sft-timing"),
    "rl-skill": ("base-skill", "rl-skill"),
}


class Loader:
    """Counts which models are loaded."""

    def __init__(self, fails_at: str | None = None) -> None:
        self.names: list[str] = []
        self.fails_at = fails_at

    def __call__(self, name: str) -> RuleModel:
        if name == self.fails_at:
            raise KeyboardInterrupt
        self.names.append(name)
        return MODELS[name]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    out = tmp_path_factory.mktemp("evaluation") / "out"
    with pytest.MonkeyPatch.context() as patch:
        from ..rules import RuleDecoder

        for module in ("sampling", "evaluation.guessing"):
            patch.setattr(f"reasonlens.organisms.{module}.Decoder", RuleDecoder)
        with pytest.raises(KeyboardInterrupt):
            evaluate(Loader("rl-skill"), PAIRS, SETTINGS, out)
        loader = Loader()
        evaluation = evaluate(loader, PAIRS, SETTINGS, out, attempted=("base-timing",), alone=("base-none",))
        assert not {"rl-timing", "sft-timing"} & set(loader.names)  # finished before the kill
        again = Loader()
        evaluate(again, PAIRS, SETTINGS, out, attempted=("base-timing",), alone=("base-none",))
        assert again.names == []
    return evaluation, out


def test_an_evaluation_gives_planted_shares_chance_and_a_row_a_pair(family: tuple[Evaluation, Path]) -> None:
    evaluation, _ = family
    assert evaluation.pairs["rl-timing"].timing_share.value == pytest.approx(1.0, abs=1e-9)
    assert evaluation.pairs["rl-skill"].skill_share.value == pytest.approx(1.0, abs=1e-9)
    assert set(evaluation.models) == set(MODELS)
    assert set(evaluation.chance) == {"base-timing", "base-skill", "base-none"}
    assert evaluation.chance_pass_at_256 >= 1 - (1 - UNIFORM) ** 256
    assert list(evaluation.to_frame()["pair"]) == list(PAIRS)
    curves = evaluation.chance_frame()
    assert {"uniform-answer", "random-moves", "known-order", "accept-at-once"} <= set(curves["guesser"])
    leaks = curves[(curves["guesser"] == "accept-at-once") & (curves["k"] == 256)]
    assert leaks["pass"].max() < 1e-9  # nothing held, nothing said


def test_responses_of_two_trainings_are_compared_beside_samples_of_one(family: tuple[Evaluation, Path]) -> None:
    overlaps = family[0].overlaps
    assert {"rl-timing / sft-timing", "rl-timing / rl-timing", "sft-timing / sft-timing"} <= set(overlaps)
    assert (
        overlaps["rl-timing / sft-timing"]["same_moves"].value < overlaps["sft-timing / sft-timing"]["same_moves"].value
    )


def test_the_results_on_disk_say_the_same_and_can_be_read_back(family: tuple[Evaluation, Path]) -> None:
    evaluation, out = family
    stored = json.loads((out / "results.json").read_text())
    assert stored["chance_pass_at_256"] == evaluation.chance_pass_at_256
    pair = stored["pairs"]["rl-timing"]
    assert (pair["base"], pair["thinking"]) == ("base-timing", "rl-timing")
    assert pair["gap"]["low"] > 0.1
    assert {"timing_share", "skill_share", "divergence", "accuracy", "process_accuracy"} <= set(pair)
    assert Evaluation.from_dict(stored).to_dict() == stored
    assert stored["attempts"]["base-timing"]["form"]["4"]["n"] == 2


def test_networks_of_a_family_are_found_in_its_directory(tmp_path: Path) -> None:
    for seed, name in enumerate(("base-skill", "rl-skill")):
        new_model(seed).half().save_pretrained(tmp_path / name)
        tokenizer().save_pretrained(tmp_path / name)
    small = EvaluateSettings(
        problems=10, samples=1, chance_islands=1, chance_rows=4, pass_samples=0, intervention_texts=0
    )
    evaluation = organisms_evaluate(tmp_path, small)
    assert evaluation.pairs["rl-skill"].gap.value == 0  # untrained, they solve nothing
    assert evaluation.models["rl-skill"].off_grammar["opening"].value > 0.5


def test_a_directory_without_pairs_and_too_few_problems_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no base with a model trained from it; train a family"):
        organisms_evaluate(tmp_path)
    with pytest.raises(InputError, match="10 problems or more .* not on 3 with 4"):
        EvaluateSettings(problems=3)
