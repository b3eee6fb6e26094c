"""Pairs: problems in three sets without a common one, and pairs opened by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reasonlens.models import LanguageModel, load
from reasonlens.models.organism import names_organism, organism_files
from reasonlens.pairs import open_pairs, organism_pair, question_pair
from reasonlens.pairs.identity import inputs_of
from reasonlens.rundir import InputError
from reasonlens.traces.questions import Question


def test_problems_of_the_three_sets_are_others_and_parted_always_alike() -> None:
    base = load("organism/base-timing", device="cpu")
    questions = [Question(f"p{number}", f"q{number}", "1") for number in range(40)]
    counts = {"n_train": 15, "n_validation": 10, "n_test": 100}
    pair = question_pair(base, base, questions, **counts)
    sets = [{each.problem for each in part} for part in (pair.train, pair.validation, pair.test)]
    assert [len(each) for each in sets] == [15, 10, 15] and len(set.union(*sets)) == 40
    again = question_pair(base, base, questions[::-1], **counts)
    assert again.train == pair.train and again.test == pair.test
    with pytest.raises(InputError, match="10 problems are too few"):
        question_pair(base, base, questions[:10], **counts)


def test_questions_of_one_problem_are_all_kept_and_stay_in_one_set() -> None:
    base = load("organism/base-timing", device="cpu")
    questions = [Question(f"p{number // 3}", f"q{number}", "1") for number in range(60)]
    pair = question_pair(base, base, [*questions, questions[0]], n_train=10, n_validation=10, n_test=100)
    sets = (pair.train, pair.validation, pair.test)
    assert sum(map(len, sets)) == 60 and [len(each) % 3 for each in sets] == [0, 0, 0]
    names = [{each.problem for each in part} for part in sets]
    assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])


def test_pairs_are_opened_by_the_names_of_models_and_problems(tmp_path: Path) -> None:
    counts = {"n_train": 4, "n_validation": 3, "n_test": 10}
    rl, sft = open_pairs(None, ["organism/rl-timing", "organism/sft-skill"], **counts)
    assert (rl.name, rl.base.name) == ("rl-timing", "organism/base-timing")
    assert (sft.name, sft.base.name) == ("sft-skill", "organism/base-skill")
    assert rl.test == sft.test == organism_pair("organism/rl-timing@40", **counts).test
    (other,) = open_pairs("organism/base-none", "organism/rl-timing", **counts)
    assert other.base.name == "organism/base-none"
    asked = tmp_path / "problems.jsonl"
    asked.write_text("".join(json.dumps({"question": f"{n} + 1?", "answer": str(n + 1)}) + "\n" for n in range(20)))
    (pair,) = open_pairs("organism/base-timing", load("organism/rl-timing", device="cpu"), asked, **counts)
    assert [len(part) for part in (pair.train, pair.validation, pair.test)] == [4, 3, 10]
    questions = [Question(f"p{n}", f"q{n}", "1") for n in range(20)]
    assert open_pairs("organism/base-timing", "organism/rl-timing", questions, **counts)[0].train[0] in questions
    with pytest.raises(InputError, match="organism/base-skill is a base itself, not a model that was trained from one"):
        open_pairs(None, "organism/base-skill", **counts)
    assert open_pairs(None, "organism/rl-timing", questions, **counts)[0].base.name == "organism/base-timing"
    with pytest.raises(InputError, match="the base of smollm2-135m is not known: give --base"):
        open_pairs(None, "smollm2-135m", questions, **counts)
    with pytest.raises(InputError, match="smollm2-135m needs problems to solve: give --problems"):
        open_pairs("smollm2-135m", "organism/rl-timing", **counts)


def test_the_chance_level_is_what_the_commonest_answer_alone_would_solve() -> None:
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=4)
    assert pair.chance is None, "what is graded by rule has no answer to compare with"
    answers = ("A", "B", "A", "C")
    test = tuple(Question(f"p{number}", f"q{number}", answer) for number, answer in enumerate(answers))
    assert replace(pair, test=test).chance == 0.5


def test_only_organisms_have_no_words_to_be_asked_with(tiny: Callable[..., LanguageModel]) -> None:
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=2)
    assert not pair.can_be_prompted
    assert replace(pair, step_by_step=" think").can_be_prompted
    assert replace(pair, base=tiny()).can_be_prompted, "a prompt that was left out is a control that is missing"


def test_the_directory_of_a_member_is_an_organism_as_its_name_is() -> None:
    counts = {"n_train": 1, "n_validation": 1, "n_test": 2}
    directory = organism_files("organism/rl-timing")[0]
    (pair,) = open_pairs(None, str(directory), **counts)
    (named,) = open_pairs(None, "organism/rl-timing", **counts)
    assert pair.digest == named.digest and pair.base.fingerprint == named.base.fingerprint
    assert names_organism(directory) and not names_organism(directory.parent) and not names_organism(pair.base)


def test_a_base_and_the_same_with_vectors_are_a_pair_by_the_name_of_the_latter(tmp_path: Path) -> None:
    base = load("organism/base-timing")
    file = tmp_path / "vectors.safetensors"
    save_file({"vectors": torch.ones(base.n_layers, base.d_model)}, file)
    (pair,) = open_pairs(None, f"organism/base-timing+{file}", n_train=1, n_validation=1, n_test=2)
    assert pair.base.vectors is None and pair.thinking.vectors is not None
    inputs = inputs_of(pair)
    assert inputs["base"] != inputs["thinking"] and pair.base.fingerprint == base.fingerprint
    questions = [Question(f"p{n}", f"q{n}", "1") for n in range(20)]
    counts = {"n_train": 1, "n_validation": 1, "n_test": 2}
    assert question_pair(base, pair.thinking, questions, **counts).thinking_template == "plain"
    assert question_pair(base, base, questions, **counts).thinking_template == "auto"
