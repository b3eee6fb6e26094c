"""The arms: tools in their order, steering of no strength, one example learnt, problems in other words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import InputError, Trace, collect, mean_difference_directions
from reasonlens.generation import Sampling, encode_prompts, end_tokens, write
from reasonlens.models import LanguageModel
from reasonlens.organisms import problem_of, problems
from reasonlens.organisms.training import loop
from reasonlens.pairs import Pair, question_pair
from reasonlens.pairs.elicit import ElicitContext, ElicitSettings, Query, one_example
from reasonlens.pairs.elicit import cognitive_tools as tools
from reasonlens.pairs.elicit.arms import ARMS
from reasonlens.pairs.elicit.one_example import MARKS, MarkedResponse, OneExample, fine_tuned, marked_texts, text_loss
from reasonlens.pairs.elicit.prompting import STEPS
from reasonlens.pairs.elicit.rewording import FRAMES, reworded
from reasonlens.pairs.elicit.trained import UNKNOWN
from reasonlens.rundir import RunDirectory
from reasonlens.traces.questions import Question
from reasonlens.vectors import Choice, Directions

SAMPLING = Sampling(n_samples=2, temperature=1.0, top_p=1.0, max_new_tokens=6)
SETTINGS = ElicitSettings(sampling=SAMPLING, template="plain", n_examples=4, steps=3, learning_rate=1e-3, n_rows=3)


def pair_of(model: LanguageModel, is_right: Callable[[str], bool]) -> Pair:
    asked = [Question(f"p{number}", f"What is {number} doubled?", str(2 * number)) for number in range(9)]
    counts: dict[str, Any] = {"n_train": 3, "n_validation": 2, "n_test": 4}
    pair = question_pair(model, model, asked, grader=lambda _, text: is_right(text), **counts)
    return replace(pair, base_template="plain")


def context_of(
    model: LanguageModel,
    *,
    settings: ElicitSettings = SETTINGS,
    directions: Directions | None = None,
    out: Path | None = None,
    is_right: Callable[[str], bool] = lambda text: len(text) % 2 == 0,
) -> ElicitContext:
    return ElicitContext(
        pair=pair_of(model, is_right),
        has_thinking=False,
        has_words=True,
        settings=settings,
        directions=directions,
        reward_vectors=None,
        reward_training=UNKNOWN,
        run=RunDirectory(out, "elicit"),
        progress=False,
    )


def queries(context: ElicitContext) -> list[Query]:
    return [Query(question=question, number=number) for number, question in enumerate(context.pair.test)]


def test_tools_are_called_one_after_the_other_and_see_only_what_they_are_shown(
    tiny: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(tiny())
    calls: list[list[str]] = []
    plain = tools.answers

    def watched(model: LanguageModel, prompts: Sequence[str], *passed: Any, **options: Any) -> Any:
        calls.append(list(prompts))
        return plain(model, prompts, *passed, **options)

    monkeypatch.setattr(tools, "answers", watched)
    answers = ARMS["cognitive-tools"].prepare(context).answer(queries(context))
    assert [tool.name for tool in tools.TOOLS] == ["understand", "recall", "attempt", "examine", "backtrack", "answer"]
    assert len(calls) == 6 and {len(prompts) for prompts in calls} == {4}
    for tool, prompts in zip(tools.TOOLS, calls, strict=True):
        for question, prompt in zip(context.pair.test, prompts, strict=True):
            assert prompt.startswith(question.prompt) and prompt.endswith(tool.instruction)
            assert [heading for heading in tools.HEADINGS.values() if heading in prompt] == [
                tools.HEADINGS[name] for name in tool.shown
            ]
    assert {one.cost.calls for one in answers} == {6}
    assert all(one.cost.output_tokens <= 36 and one.cost.prompt_tokens > 6 * 8 for one in answers)


def test_what_a_tool_wrote_is_what_the_next_ones_are_shown() -> None:
    texts = {"attempt": "It is 14.", "examine": "Step two is wrong."}
    prompt = tools.tool_prompt(tools.TOOLS[4], "What is 7 doubled?", texts)
    assert prompt.index("It is 14.") < prompt.index("Step two is wrong.") < prompt.index(tools.TOOLS[4].instruction)


@pytest.mark.parametrize("name", ["plain", "step-by-step", "cognitive-tools"])
def test_one_answer_is_the_same_alone_and_among_others(name: str, tiny: Callable[..., LanguageModel]) -> None:
    context = context_of(tiny())
    answer = ARMS[name].prepare(context).answer
    together = answer(queries(context))
    assert [answer([query])[0] for query in queries(context)] == together


def directions_of(model: LanguageModel, traces: list[Trace], strength: float) -> Directions:
    found = mean_difference_directions(collect(model, traces, layers=[1], progress=False))
    choice = Choice(layer=1, strength=strength, kl_nats=0.0, when="sentences", about="by hand")
    return replace(found, choices={"backtracking": choice})


def test_steering_of_no_strength_is_the_plain_prompt_and_of_some_is_not(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    model = tiny()
    plain = ARMS["plain"].prepare(context_of(model)).answer(queries(context_of(model)))
    for strength in (0.0, 8.0):
        context = context_of(model, directions=directions_of(model, traces, strength))
        steered = ARMS["steering"].prepare(context)
        assert (steered.answer(queries(context)) == plain) == (strength == 0)
        assert steered.note.startswith("backtracking at block 1") and steered.training.n_examples is None
        assert steered.read is not None
        readings = steered.read(traces[:2])
        base = one_example.read_texts(model, traces[:2], "plain")
        differences = [np.abs(one.nats - other.nats).max() for one, other in zip(readings, base, strict=True)]
        assert max(differences) < 1e-4 if strength == 0 else min(differences) > 1e-2


def test_of_several_directions_the_one_that_does_most_on_validation_problems_is_taken(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    model = tiny()
    directions = directions_of(model, traces, 8.0)
    both = replace(directions, choices=directions.choices | {"deduction": directions.choices["backtracking"]})
    texts: dict[str, list[str]] = {}
    for name in both.choices:
        context = context_of(model, directions=replace(both, choices={name: both.choices[name]}))
        validation = [
            Query(question=question, number=number) for number, question in enumerate(context.pair.validation)
        ]
        texts[name] = [one.text for one in ARMS["steering"].prepare(context).answer(validation)]
    assert texts["backtracking"] != texts["deduction"]
    for name, own in texts.items():
        (other,) = texts.keys() - {name}
        wanted = set(own) - set(texts[other])
        context = context_of(model, directions=both, is_right=lambda text, wanted=wanted: text in wanted)  # type: ignore[misc]
        assert ARMS["steering"].prepare(context).note.startswith(name)


EXAMPLE = OneExample(
    "What is 3 doubled?",
    (MarkedResponse("So it is 6.", True), MarkedResponse("So it is 7.", False), MarkedResponse(" ", True)),
    n_tried=1,
    flops=0.0,
)


def test_marks_follow_responses_and_of_wrong_ones_they_alone_are_learnt(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny()
    right, wrong = marked_texts(model, EXAMPLE, MARKS, "plain")
    end = min(end_tokens(model))
    learnt = [model.tokenizer.decode(text.ids[text.first :]) for text in (right, wrong)]
    first = model.tokenizer.decode([end])
    assert learnt == [f"So it is 6.{first}{MARKS[True]}{first}", f"{MARKS[False]}{first}"] and right.ids[-1] == end
    assert model.tokenizer.decode(wrong.ids).endswith(f"So it is 7.{first}{MARKS[False]}{first}")


def test_fine_tuning_lowers_the_loss_of_its_example_and_is_the_same_bit_by_bit(
    tiny: Callable[..., LanguageModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny()
    texts = marked_texts(model, EXAMPLE, MARKS, "plain")
    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    monkeypatch.setattr(one_example, "SAVE_EVERY", 1)
    settings = replace(SETTINGS, steps=6, learning_rate=1e-2)
    tuned, n_tokens = fine_tuned(model, texts, settings, tmp_path / "one")
    with torch.no_grad():
        assert all(text_loss(tuned, text) < 0.8 * text_loss(model, text) for text in texts)
    (prompt,) = encode_prompts(model, [EXAMPLE.prompt], "plain")
    assert all(text.ids[: len(prompt)] == tuple(prompt) for text in texts)  # prompts are run and counted too
    assert n_tokens == 6 * 4 * sum(len(text.ids) for text in texts)
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.state_dict().items())
    again, _ = fine_tuned(model, texts, settings, tmp_path / "two")
    save, n_saved = loop._save, []

    def stop_after_two(*passed: Any) -> None:
        save(*passed)
        n_saved.append(1)
        if len(n_saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        fine_tuned(model, texts, settings, tmp_path / "three")
    resumed, _ = fine_tuned(model, texts, settings, tmp_path / "three")
    for other in (again, resumed):
        weights = other.model.state_dict()
        assert all(torch.equal(weight, weights[name]) for name, weight in tuned.model.state_dict().items())


def test_a_text_loss_is_a_sum_by_hand(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny()
    (text, _) = marked_texts(model, EXAMPLE, MARKS, "plain")
    with torch.no_grad():
        log_probabilities = model.model(torch.tensor([text.ids])).logits[0].log_softmax(-1)
        by_hand = -sum(float(log_probabilities[i - 1, text.ids[i]]) for i in range(text.first, len(text.ids)))
        assert float(text_loss(model, text)) == pytest.approx(by_hand, rel=1e-4)


def test_the_one_problem_has_right_and_wrong_responses_and_none_that_was_cut_off(
    tiny: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(tiny())
    monkeypatch.setattr(one_example, "write", lambda *passed, **options: _ended(write(*passed, **options)))
    example = one_example.find_example(context)
    assert {one.is_right for one in example.responses} == {True, False} and len(example.responses) == 4
    assert example.prompt in {question.prompt for question in context.pair.train} and example.flops > 0
    prepared = ARMS["one-example"].prepare(context)
    written = example.n_tried * SETTINGS.n_examples  # to choose, those that are not learnt from among them
    assert prepared.training.n_problems == example.n_tried and prepared.training.n_examples == written
    monkeypatch.setattr(one_example, "write", lambda *passed, **options: _one_ended(write(*passed, **options)))
    scarce = context_of(tiny(), is_right=bool)
    assert len(one_example.find_example(scarce).responses) == 1
    assert ARMS["one-example"].prepare(scarce).training.n_examples == 3 * SETTINGS.n_examples
    with pytest.raises(InputError, match="answers none of 3 training problems right in 4 tries"):
        one_example.find_example(context_of(tiny(), is_right=lambda text: False))


def _ended(written: list[Any]) -> list[Any]:
    """What was cut off is not learnt from, and random models never end."""
    return [replace(one, is_truncated=False) for one in written]


def _one_ended(written: list[Any]) -> list[Any]:
    return [replace(one, is_truncated=number > 0) for number, one in enumerate(written)]


def test_a_question_in_other_words_is_the_same_question() -> None:
    question = Question("p", "What is 7 doubled?", "14")
    assert reworded(question, 0, has_words=True) is question and len(STEPS) > 1
    prompts = {reworded(question, number, has_words=True).prompt for number in range(len(FRAMES))}
    assert len(prompts) == len(FRAMES) and all(question.prompt in prompt for prompt in prompts)


def test_an_organisms_problem_in_another_order_has_the_same_targets() -> None:
    for problem, _ in zip(problems("test", 0), range(5), strict=False):
        question = Question(problem.group, problem.prompt)
        first, second = (reworded(question, wording, has_words=False) for wording in (1, 2))
        assert len({question.prompt, first.prompt, second.prompt}) == 3
        for other in (first, second):
            moved = problem_of(other.prompt)
            assert (moved.targets, moved.group, moved.way) == (problem.targets, problem.group, problem.way)
