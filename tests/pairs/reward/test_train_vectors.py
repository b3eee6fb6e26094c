"""Training of vectors by reward: resumed as it began, its arms and controls, its grades, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reasonlens import InputError, RewardSettings, TrainedVectors, load, train_vectors
from reasonlens.generation import Sampling
from reasonlens.organisms import problems
from reasonlens.organisms.sampling import respond
from reasonlens.organisms.training import loop
from reasonlens.pairs.elicit.cost import n_parameters
from reasonlens.pairs.elicit.trained import open_reward_vectors
from reasonlens.pairs.reward import cosines, vector_arms
from reasonlens.pairs.reward.arms import BASE, OTHER_BLOCKS, THINKING, VECTORS
from reasonlens.pairs.reward.promoted import promoted_tokens
from reasonlens.pairs.reward.result import BEHAVIOUR
from reasonlens.pairs.reward.task import has_form, open_task
from reasonlens.traces.problem_sets import ProblemSet
from reasonlens.traces.questions import Question

ORGANISM = "organism/rl-timing"  # solves enough for groups to differ within a few responses
TIMES = ("seconds", "tokens_a_second", "digest")
SETTINGS = RewardSettings(
    steps=3, problems=2, samples=3, n_train=4, n_test=3, ablations="none", n_random=1, layers="1,-1"
)


def trained(out: Path, settings: RewardSettings = SETTINGS, **options: Any) -> TrainedVectors:
    return train_vectors(ORGANISM, settings=settings, out=out, progress=False, **options)


@pytest.fixture(scope="module", autouse=True)
def few_traces() -> Iterator[None]:
    """Extract directions from a few responses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosines, "N_TRACES", 4)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    trained(out, also=["organism/base-skill"], thinking="organism/base-timing")
    return out


def test_what_is_cut_off_goes_on_to_the_very_same_vectors(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = loop._save
    n_saved = 0

    def save_once(*passed: Any) -> None:
        nonlocal n_saved
        n_saved += 1
        if n_saved == 2:  # the second step is logged, and its state is lost
            raise KeyboardInterrupt
        save(*passed)

    options: dict[str, Any] = {"also": ["organism/base-skill"], "thinking": "organism/base-timing"}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "_save", save_once)
        trained(tmp_path / "run", **options)
    trained(tmp_path / "run", **options)
    for name in ("vectors.safetensors", "answers.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (undisturbed / name).read_bytes()
    logs = [
        [
            {name: value for name, value in json.loads(line).items() if name not in TIMES}
            for line in (out / "training.jsonl").read_text().splitlines()[1:]
        ]
        for out in (tmp_path / "run", undisturbed)
    ]
    assert logs[0] == logs[1] and [row["step"] for row in logs[0]] == [1, 2, 3]
    assert all(row["kl"] >= 0 for row in logs[0]) and logs[0][-1]["kl"] > 0
    assert not (undisturbed / "state.safetensors").exists()


def test_the_file_is_a_model_by_name_and_only_trained_blocks_have_a_vector(undisturbed: Path) -> None:
    steered = load(f"{ORGANISM}+{undisturbed / 'vectors.safetensors'}")
    result = trained(undisturbed, also=["organism/base-skill"], thinking="organism/base-timing")
    vectors = steered.vectors
    assert vectors is not None and [bool(row.any()) for row in vectors] == [False, True, False, True]
    assert torch.equal(vectors[[1, 3]], result.directions.vectors[BEHAVIOUR]) and torch.equal(vectors, result.vectors)
    (problem,) = islice(problems("test", 0), 1)
    own = respond(steered.model, [problem], seed=0)  # type: ignore[arg-type]
    again = respond(load(ORGANISM).with_vectors(vectors).model, [problem], seed=0)  # type: ignore[arg-type]
    assert own == again


def test_the_result_holds_base_vectors_controls_and_the_other_base(undisturbed: Path) -> None:
    result = trained(undisturbed, also=["organism/base-skill"], thinking="organism/base-timing")
    arms = [(one.model, one.arm) for one in result.arms]
    assert arms == [
        *((ORGANISM, name) for name in (BASE, VECTORS, "random 1", OTHER_BLOCKS, THINKING)),
        *(("organism/base-skill", name) for name in (BASE, VECTORS)),
    ]
    assert all(one.accuracy.n == 3 for one in result.arms)
    assert result.promoted_at == 3 and len(result.promoted) == 20
    assert {one.layer for one in result.cosines} == {1, 3}
    answers = [json.loads(line) for line in (undisturbed / "answers.jsonl").read_text().splitlines()[1:]]
    base = [row for row in answers if (row["model"], row["arm"]) == (ORGANISM, BASE)]
    asked = list(islice(problems("test", 0), 3))
    assert [row["tokens"] for row in base] == list(map(len, respond(load(ORGANISM).model, asked, seed=0)))  # type: ignore[arg-type]
    accuracy = sum(row["is_solved"] for row in base) / 3
    assert result.arm(BASE).accuracy.value == pytest.approx(accuracy)


def test_arms_are_each_block_alone_each_left_out_and_controls_of_the_same_norms() -> None:
    vectors = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    vectors[2] = 0
    arms = {arm.name: arm.vectors for arm in vector_arms(vectors, [0, 2, 4], 2, seed=3)}
    assert list(arms) == [
        *(BASE, VECTORS, "only 0", "only 4", "without 0", "without 4", "random 1", "random 2", OTHER_BLOCKS)
    ]

    def of(name: str) -> Tensor:
        rows = arms[name]
        assert rows is not None
        return rows

    assert arms[BASE] is None and torch.equal(of("only 4") + of("without 4"), vectors)
    assert [bool(row.any()) for row in of("only 4")] == [False] * 4 + [True]
    for name in ("random 1", "random 2", OTHER_BLOCKS):
        torch.testing.assert_close(of(name).norm(dim=-1), vectors.norm(dim=-1))
    cosines = torch.cosine_similarity(of(OTHER_BLOCKS)[:, None], vectors[None], dim=-1)
    for layer in (0, 1, 3, 4):
        assert int(cosines[layer].argmax()) != layer and float(cosines[layer].max()) == pytest.approx(1)
    assert not torch.allclose(of("random 1"), of("random 2"))


def test_a_vector_that_is_a_row_of_the_unembedding_promotes_its_token() -> None:
    base = load(ORGANISM)
    token = 12
    row = base.model.get_output_embeddings().weight[token].detach()
    task = open_task(base, None, replace(SETTINGS, n_train=2))
    prompts = task.prompts(base, task.train)
    responses = task.respond(base, task.train, 0)
    promoted = promoted_tokens(base, 200 * row / row.norm(), 3, prompts, responses)
    assert promoted[0].token == base.tokenizer.decode([token]) and promoted[0].shift > 0 > promoted[-1].shift


def test_the_form_of_a_number_is_a_number_alone() -> None:
    for text in (" 42", "42.", "-7", "1,200", "3.5\n"):
        assert has_form(text, "number")
    for text in ("The answer is 42", "4 + 2 = 6", "", "42 apples", "42\n\n43"):
        assert not has_form(text, "number") and has_form(text, "any")
        assert has_form(text, "line") == (text == "42\n\n43")


def test_questions_are_graded_by_answer_and_by_form(tiny: Any) -> None:
    questions = [Question(f"p{number}", f"{number} + 1 =", str(number + 1)) for number in range(30)]
    settings = replace(SETTINGS, form="number", n_train=10, n_test=5, sampling=Sampling(max_new_tokens=4, top_p=1.0))
    task = open_task(tiny(), questions, settings)
    assert not {question.problem for question in task.train} & {question.problem for question in task.test}
    model = tiny()
    question = Question("p", "2 + 2 =", "4")
    texts = ["4", "So it is 4", "5"]
    ids = [model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert [task.text(model, row).strip() for row in ids] == texts
    grades = task.grades(model, [question] * 3, ids)
    assert [(grade.reward, grade.is_solved, grade.is_in_form) for grade in grades] == [
        (1.0, True, True),
        (0.0, True, False),
        (0.0, False, True),
    ]
    partly = open_task(tiny(), questions, replace(settings, partial=0.5)).grades(model, [question] * 3, ids)
    assert [grade.reward for grade in partly] == [1.0, 0.5, 0.0]


def test_what_cannot_be_trained_on_is_refused_by_message(tiny: Any, tmp_path: Path) -> None:
    for change, message in (
        ({"samples": 1}, "samples and n_test from 2"),
        ({"steps": 0}, "counted from 1"),
        ({"learning_rate": 0.0}, "a learning rate is above 0"),
        ({"kl_weight": -1.0}, "the weight of the KL at least 0"),
        ({"sampling": Sampling(temperature=0.0)}, "sampled from the whole distribution"),
        ({"sampling": Sampling(temperature=1.0, top_p=0.9)}, "top_p 1, not 1.0 and 0.9"),
        ({"partial": 1.5}, "a share of 1, 0 to 1, and not 1.5"),
        ({"form": "poem"}, "no form 'poem'"),
    ):
        with pytest.raises(InputError, match=message):
            replace(SETTINGS, **change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="layer 9 does not exist"):
        train_vectors(ORGANISM, settings=replace(SETTINGS, layers="9"))
    with pytest.raises(InputError, match="tiny-llama needs problems to solve: give --problems"):
        train_vectors(tiny(), settings=SETTINGS)
    with pytest.raises(InputError, match="is asked problems of its own language only"):
        train_vectors(ORGANISM, [Question("p", "q", "1")], settings=SETTINGS)
    with pytest.raises(InputError, match="bases of the same shape"):
        train_vectors(ORGANISM, also=[tiny()], settings=SETTINGS)
    with pytest.raises(InputError, match="is there already: name each other base once"):
        train_vectors(ORGANISM, also=[ORGANISM], settings=SETTINGS)
    with pytest.raises(InputError, match="answers of organisms have one form"):
        train_vectors(ORGANISM, settings=replace(SETTINGS, form="number"))
    with pytest.raises(InputError, match="cannot read directions"):
        train_vectors(ORGANISM, directions=tmp_path / "none.safetensors", settings=SETTINGS)


def test_where_no_response_earns_more_than_another_nothing_is_trained_and_it_is_said(tiny: Any) -> None:
    """A random model that never answers rightly has a constant reward."""
    questions = [Question(f"p{number}", f"{number} + 1 =", str(10**6 + number)) for number in range(30)]
    settings = replace(SETTINGS, layers="all", n_train=10, n_test=5, sampling=Sampling(max_new_tokens=3, top_p=1.0))
    with pytest.raises(InputError, match="no response earned more than the others of its group in 3 steps"):
        train_vectors(tiny(), questions, settings=settings, progress=False)


def test_the_tokens_of_a_training_are_those_of_prompts_and_responses_counted_by_hand(tiny: Any, tmp_path: Path) -> None:
    """Responses of 4 tokens: sampled without the last one, read with a gradient and compared with it."""
    base = tiny()
    questions = [Question(f"p{number}", f"{number} + 1 =", str(number + 1)) for number in range(30)]
    problem_set = ProblemSet("made", tuple(questions), lambda question, text: len(text) % 2 == 0)
    settings = replace(
        SETTINGS, steps=2, samples=4, kl_weight=0.5, n_train=2, sampling=Sampling(max_new_tokens=4, top_p=1.0)
    )
    out = tmp_path / "run"
    result = train_vectors(base, problem_set, settings=settings, out=out, template="plain", progress=False)
    task = open_task(base, problem_set, settings)
    n_prompt = sum(map(len, task.prompts(base, task.train)))
    for row in result.steps:
        assert row["tokens"] == 2 * 4 * 4 and row["n_learnt"] > 0  # no response ended before the limit
        sampled, read, compared = (4 * n_prompt + 2 * 4 * length for length in (3, 4, 4))
        assert row["tokens_run"] == sampled + 2 * read + compared
    vectors, cost = open_reward_vectors(out / "vectors.safetensors", base)
    assert torch.equal(vectors, result.vectors)
    assert cost.flops == 2 * n_parameters(base) * sum(row["tokens_run"] for row in result.steps)
    assert cost.n_examples == 2 * 2 * 4
