"""What a row of another tool becomes: which field is the prompt, which the text, and what groups the rows."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from reasonlens import InputError, Span, Trace, read_traces
from reasonlens.traces.readers.fields import USUAL
from reasonlens.traces.readers.inspect_samples import INSPECT

ARCHIVE = Path(__file__).with_name("sums.eval")  # written by inspect_ai 0.3.285 itself: two samples, two epochs


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Write rows as JSON lines and read them."""

    def reader(*rows: Any, name: str = "rows.jsonl", **options: Any) -> list[Trace]:
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)), "utf-8")
        return read_traces(tmp_path / name, **options)

    return reader


@pytest.mark.parametrize("prompt", [name for name in USUAL["prompt"] if name != "prompt"])
def test_a_prompt_is_found_by_each_usual_name(read: Any, prompt: str) -> None:
    (trace,) = read({prompt: "What is 2 + 2?", "output": "<think>Two twos.</think> 4"})
    assert trace == Trace("rows-1", "What is 2 + 2?", "<think>Two twos.</think> 4", (), "What is 2 + 2?")


@pytest.mark.parametrize("text", USUAL["text"])
def test_a_response_is_found_by_each_usual_name(read: Any, text: str) -> None:
    (trace,) = read({"question": "q", text: "So 4.", "ID": 7, "problem_id": 3})
    assert trace == Trace("7", "q", "So 4.", (), "3")


def test_several_responses_of_a_row_are_traces_of_one_problem(read: Any) -> None:
    traces = read({"problem": "2 + 2?", "generations": ["4", "Four."], "id": "sum"})
    assert traces == [Trace("sum/1", "2 + 2?", "4"), Trace("sum/2", "2 + 2?", "Four.")]
    assert {trace.problem for trace in traces} == {"2 + 2?"}


def test_a_field_that_holds_no_text_is_not_taken_for_one(read: Any) -> None:
    (trace,) = read({"input": [1, 2], "question": "q", "output": {"logits": []}, "response": "r"})
    assert (trace.prompt, trace.text) == ("q", "r")


def test_fields_are_mapped_by_name_and_by_path(read: Any) -> None:
    row = {"q": "2 + 2?", "choices": [{"message": {"content": "4"}}], "id": "group", "text": "not this"}
    names = {"prompt": "q", "text": "choices.0.message.content", "problem": "id"}
    (trace,) = read(row, fields=names)
    assert trace == Trace("rows-1", "2 + 2?", "4", (), "group")
    (bare,) = read(row, fields={"prompt": ""})
    assert (bare.prompt, bare.text, bare.problem) == ("", "not this", "group")


def test_thoughts_in_a_field_of_their_own_stand_before_the_answer(read: Any) -> None:
    (trace,) = read({"question": "q", "reasoning": " Two twos. ", "response": "4"})
    assert trace.text == "<think>\nTwo twos.\n</think>\n\n4"
    (trace,) = read({"question": "q", "reasoning": "Two.", "response": "<think>Two.</think>4"})
    assert trace.text == "<think>Two.</think>4"


def test_labels_of_other_tools_are_read(read: Any) -> None:
    row = {"question": "q", "response": "So 4. Wait.", "score": 1}
    (trace,) = read(row | {"spans": [{"start": 0, "end": 5, "label": "deduction"}]}, form="response")
    assert trace.spans == (Span(0, 5, "deduction"),)
    published = {
        "original_message": {"role": "user", "content": "2 + 2?"},
        "full_response": "<think>So 4.</think>",
        "annotated_thinking": '["deduction"] So 4. ["end-section"]',
        "question_id": 3,
    }
    (trace,) = read(published)
    assert trace == Trace("rows-1", "2 + 2?", "So 4.", (Span(0, 5, "deduction"),), "3")


def test_labels_under_a_misspelt_name_are_not_dropped_in_silence(read: Any) -> None:
    row = {"question": "q", "text": "So 4.", "span": []}
    with pytest.raises(InputError, match=r"rows.jsonl, line 1: is 'span' a field of labels\? Did you mean 'spans'"):
        read(row)
    assert read(row, fields={"spans": ""})[0].spans == ()


def test_of_a_conversation_the_last_turn_of_the_assistant_is_the_text(read: Any) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": "4", "reasoning_content": "Two twos."},
        {"role": "user", "content": [{"type": "text", "text": "Sure?"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}]},
        {"role": "user", "content": "Thanks."},
    ]
    whole, short, only = read({"messages": turns}, {"messages": turns[:3]}, {"messages": turns[1:3]})
    assert whole.text == "<think>\nHm.\n</think>\n\nYes."
    thoughts = "<think>\nTwo twos.\n</think>\n\n4"
    assert whole.prompt == f"Be brief.\n\nUser: 2 + 2?\n\nAssistant: {thoughts}\n\nUser: Sure?"
    assert (short.prompt, short.text) == ("Be brief.\n\n2 + 2?", thoughts)
    assert only.prompt == "2 + 2?"
    assert {trace.problem for trace in (whole, short, only)} == {"2 + 2?"}  # no split cuts what was asked alike


def test_conversations_of_share_gpt_and_messages_beside_a_response_are_read(read: Any) -> None:
    (trace,) = read({"conversations": [{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"}], "id": "a"})
    assert trace == Trace("a", "2 + 2?", "4")
    (trace,) = read({"messages": [{"role": "user", "content": "2 + 2?"}], "response": "4"})
    assert trace == Trace("rows-1", "2 + 2?", "4")
    (trace,) = read({"chat": json.dumps([{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}])})
    assert (trace.prompt, trace.text) == ("q", "r")


def test_samples_of_inspect_keep_their_epochs_together() -> None:
    traces = read_traces(ARCHIVE)
    assert [trace.id for trace in traces] == ["a b/1_epoch_1", "7_epoch_1", "a b/1_epoch_2", "7_epoch_2"]
    assert [trace.problem for trace in traces] == ["a b/1", "7", "a b/1", "7"]
    assert traces[0].prompt == "Think first.\n\nWhat is 17 * 24?"
    assert traces[0].text == "<think>\nSo 17 * 20 is 340. Wait, plus 68.\n</think>\n\nThe answer is 408."
    assert traces[1].text == "So 17 * 20 is 340. " * 40 + "408" and traces[3].text == "five"


def test_a_sample_of_inspect_has_its_attachments_its_choices_and_its_errors(read: Any) -> None:
    user = {"role": "user", "content": "attachment://1"}
    choices = [{"message": {"role": "assistant", "content": text}} for text in ("attachment://2", "b")]
    sample = {"id": "s", "epoch": 1, "input": "q", "messages": [user], "output": {"choices": choices}}
    sample["attachments"] = {"1": "a long question", "2": "a long answer"}
    failed = {"id": "t", "epoch": 1, "input": "q", "messages": [], "output": {"choices": []}, "error": {"message": "x"}}
    one, other, empty = read(sample, failed)
    assert (one.id, one.prompt, one.text) == ("s_epoch_1/1", "a long question", "a long answer")
    assert (other.id, other.text, other.problem) == ("s_epoch_1/2", "b", "s")
    assert empty == Trace("t_epoch_1", "q", "", (), "t")
    assert INSPECT.fits(sample) and not INSPECT.fits({"id": 1, "input": "x", "output": "y"})


def sample_of_lm_eval(document: int, responses: list[str], answer_filter: str = "strict-match") -> dict[str, Any]:
    """A line as the harness's own `EvaluationTracker.save_results_samples` of version 0.4.13 writes it."""
    return {
        "doc_id": document,
        "doc": {"question": "2 + 2?", "answer": "4"},
        "target": "4",
        "arguments": {"gen_args_0": {"arg_0": "Q: 2 + 2?\nA:", "arg_1": {"until": ["Q:"], "do_sample": False}}},
        "resps": [responses],
        "filtered_resps": ["4"],
        "filter": answer_filter,
        "metrics": ["exact_match"],
        "doc_hash": "x",
        "prompt_hash": "y",
        "target_hash": "z",
        "exact_match": 1.0,
    }


def test_samples_of_lm_eval_are_read_once_for_all_filters(read: Any) -> None:
    rows = [sample_of_lm_eval(number, [" So 4."], name) for name in ("strict", "flexible") for number in range(2)]
    assert read(*rows) == [
        Trace("rows-0", "Q: 2 + 2?\nA:", " So 4.", (), "doc 0"),
        Trace("rows-1", "Q: 2 + 2?\nA:", " So 4.", (), "doc 1"),
    ]
    several = read(sample_of_lm_eval(5, ["a", "b"]))
    assert [(trace.id, trace.text, trace.problem) for trace in several] == [
        ("rows-5/1", "a", "doc 5"),
        ("rows-5/2", "b", "doc 5"),
    ]
    old = sample_of_lm_eval(0, ["a"]) | {"arguments": [["Q: 2 + 2?\nA:", {"until": []}]]}
    assert read(old)[0].prompt == "Q: 2 + 2?\nA:"


def test_a_task_of_lm_eval_that_compares_likelihoods_is_refused(read: Any) -> None:
    row = sample_of_lm_eval(0, [])
    row["arguments"] = {f"gen_args_{n}": {"arg_0": "Q", "arg_1": letter} for n, letter in enumerate("ab")}
    row["resps"] = [[["-1.0", "False"]], [["-2.0", "False"]]]
    with pytest.raises(InputError, match="line 1: the task compares likelihoods, and the model wrote no response"):
        read(row)


def test_one_line_says_what_was_taken_and_what_was_not(read: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="reasonlens"):
        read({"question": "q", "output": "r", "score": 1})
    (message,) = caplog.messages
    assert message.endswith("rows.jsonl, read as response: text from 'output', prompt from 'question'; not read: score")


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ({"foo": 1, "bar": "x"}, {}, "no field holds the response .* The fields here are foo, bar; name it"),
        ({"question": "q", "outptu": "x"}, {}, "Did you mean 'output'.* The fields here are question, outptu"),
        ({"output": "x", "quesiton": "q"}, {}, "no field holds the prompt .* Did you mean 'question'"),
        ({"output": "x"}, {}, r"name it \(--field prompt=NAME\), or state that there is none \(--field prompt=\)"),
        ({"output": "x"}, {}, "`reasonlens traces convert .*rows.jsonl --field prompt=NAME --out traces.jsonl`"),
        ({"q": "x", "output": "y"}, {"fields": {"prompt": "qq"}}, "there is no field 'qq'; .* q, output.* mean 'q'"),
        ({"q": "x"}, {"fields": {"promt": "q"}}, "a trace has no field 'promt'.* Did you mean 'prompt'"),
        ({"q": "x"}, {"fields": {"prompt": 3}}, "the name of a field is a text, and 'prompt' is mapped to 3"),
        ({"q": "x"}, {"form": "mesages"}, "there is no form 'mesages'; .* Did you mean 'messages'"),
        ({"q": "x"}, {"form": "messages"}, "no field holds messages; the fields here are q"),
        ({"text": "x", "spans": []}, {"form": "traces", "fields": {"prompt": "q"}}, "leave --field out"),
        ({"question": "q", "text": "a \ud83d"}, {}, "'text' holds half of a surrogate pair"),
        ({"messages": [{"content": "x"}], "text": "t"}, {}, "a message has no role"),
        ({"messages": [{"role": "user", "content": 3}], "text": "t"}, {}, "'content' must be a text, found 3"),
        ({"messages": "x", "text": "t"}, {"form": "messages", "fields": {"messages": "text"}}, "are a list of objects"),
        ([1, 2], {}, "expected a JSON object, found list"),
        (None, {}, "expected a JSON object, found NoneType"),
    ],
)
def test_what_is_wrong_with_a_first_row_is_named_with_the_remedy(
    read: Any, row: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(row, **options)


def test_a_later_row_of_another_shape_is_named(read: Any) -> None:
    good = {"question": "q", "output": "r"}
    for row, message in (
        ({"question": "q"}, "line 3: there is no field 'output'; the fields here are question"),
        (good | {"output": 3}, "line 3: 'output' must be a text, found 3"),
        (good | {"output": [["x"]]}, "line 3: 'output' must be a text, found"),
        ([good], "line 3: expected a JSON object, found list"),
    ):
        with pytest.raises(InputError, match=message):
            read(good, good, row)
    with pytest.raises(InputError, match="line 2: the id '7' stands already on line 1.*--field problem=id"):
        read(good | {"id": 7}, good | {"id": 7})
    assert read(good | {"id": 7}, good | {"id": 7}, fields={"problem": "id"})[1].problem == "7"
