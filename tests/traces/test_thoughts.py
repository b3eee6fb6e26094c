"""Thoughts in tags: told from the answer, never labelled, never opened twice, and no answer before they end."""

from __future__ import annotations

import pytest

from reasonlens import Span, Trace
from reasonlens.generation import Sampling, encode_prompts, write
from reasonlens.traces import encode, keyword_annotator, segment, within_thoughts
from reasonlens.traces.questions import Question, mathematics
from reasonlens.traces.thoughts import after_thoughts, ending_opener, thoughts_of

OPENING = (
    "{% for m in messages %}[user]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]<think>\n{% endif %}"
)


@pytest.mark.parametrize(
    ("response", "thoughts", "answer"),
    [
        ("<think>\nSo 7.\n</think>\n\nIt is 7.", "\nSo 7.\n", "\n\nIt is 7."),
        ("So 7.\n</think>It is 7.", "So 7.\n", "It is 7."),  # opened by the template
        ("<think>So 7.", "So 7.", None),
        ("<THINKING>So 7.</THINKING> 7", "So 7.", " 7"),
        ("<|begin_of_thought|>So 7.<|end_of_thought|> 7", "So 7.", " 7"),
        ("<think>a</think> b <think>c", "a", None),
        ("It is 7.", None, "It is 7."),
    ],
)
def test_thoughts_are_told_from_the_answer(response: str, thoughts: str | None, answer: str | None) -> None:
    place = thoughts_of(response)
    assert (None if place is None else response[slice(*place)]) == thoughts
    assert after_thoughts(response) == answer


def test_tags_end_a_sentence_and_belong_to_none() -> None:
    text = "<think>\nOkay, so we add them <think> wait, is that right?\n</think>\n\nThe answer is 7.</think>"
    assert [text[start:end] for start, end in segment(text, min_words=1)] == [
        *("Okay, so we add them", "wait, is that right?", "The answer is 7.")
    ]


def test_a_response_in_the_style_of_r1_has_no_label_for_its_tags() -> None:
    text = "<think>\nFirst the sum.\nWait, that is wrong.\n</think>\n\nTherefore it is 7."
    spans = keyword_annotator("", text)
    assert [(span.label, text[span.start : span.end]) for span in spans] == [
        ("subgoal-setting", "First the sum."),
        ("backtracking", "Wait, that is wrong."),
        ("deduction", "Therefore it is 7."),
    ]
    restricted = within_thoughts(keyword_annotator)
    assert list(restricted("", text)) == spans[:2]
    assert list(restricted("", text.replace("<think>", ""))) == list(
        keyword_annotator("", text.replace("<think>", ""))[:2]
    ), "opened by the template"
    plain = "Wait, that is wrong. So it is 7."
    assert restricted("", plain) == keyword_annotator("", plain)
    name = f"KeywordAnnotator(bundled, {keyword_annotator.behaviours.digest})"
    assert restricted.__qualname__ == f"within_thoughts({name})", "settings of a run name it so"


@pytest.mark.parametrize("gap", ["", "\n", "\n\n"])
def test_thoughts_that_the_template_opens_are_not_opened_twice(tiny, gap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    monkeypatch.setattr(model.tokenizer, "chat_template", OPENING)
    body = "So 4 and 3 is 8. Wait, no."
    text = f"<think>{gap}{body}"
    start = text.index("Wait")
    (encoded,) = encode(model, [Trace("a", "What is 4?", text, (Span(start, len(text), "backtracking"),))])
    decoded = model.tokenizer.decode(encoded.token_ids)
    assert decoded.count("<think>") == 1
    (place,) = encoded.spans
    assert place is not None and model.tokenizer.decode(encoded.token_ids[slice(*place)]).strip() == "Wait, no."
    (without,) = encode(model, [Trace("b", "What is 4?", body, ())])
    assert model.tokenizer.decode(without.token_ids).count("<think>") == 1, "the template's own"


@pytest.mark.parametrize(
    ("response", "is_right"),
    [
        ("<think>maybe it is 42", False),
        ("<think>First guess \\boxed{42}, but check: 6 times 8 is", False),
        ("<think>maybe 41</think> so 42 <think> or 41", False),
        ("<think>maybe it is 41</think> It is 42.", True),
        ("it is 41</think> It is 42.", True),
        ("It is 42.", True),
    ],
)
def test_there_is_no_answer_before_the_thoughts_end(response: str, is_right: bool) -> None:
    assert mathematics(Question(problem="p", prompt="p", answer="42"), response) is is_right


@pytest.mark.parametrize(
    ("prompt", "opener"),
    [
        ("[assistant]<think>\n", "<think>"),
        ("[assistant]\n<|begin_of_thought|>\n\n", "<|begin_of_thought|>"),
        ("[assistant]<think>\n\n</think>\n\n", ""),  # thinking is turned off
        ("What does <think> mean? [assistant]", ""),
    ],
)
def test_a_prompt_that_opens_thoughts_is_known_by_its_end(prompt: str, opener: str) -> None:
    assert ending_opener(prompt) == opener


def test_what_a_model_writes_bears_the_thoughts_that_its_template_opened(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    sampling = Sampling(n_samples=1, temperature=0.0, max_new_tokens=3)
    monkeypatch.setattr(model.tokenizer, "chat_template", OPENING)
    (response,) = write(model, encode_prompts(model, ["What is 4?"]), sampling)
    assert response.opener == "<think>" and response.graded_text == f"<think>{response.text}"
    monkeypatch.setattr(model.tokenizer, "chat_template", OPENING.replace("<think>\n", ""))
    (response,) = write(model, encode_prompts(model, ["What is 4?"]), sampling)
    assert response.opener == "" and response.graded_text == response.text
