"""Labels by a chat-completions endpoint on this machine: its request, its replies in any form, and what goes wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasonlens.rundir import InputError, RowLog
from reasonlens.traces import Trace, open_behaviour_set
from reasonlens.traces.annotators import SegmentedTrace, SentenceLabels, segmented
from reasonlens.traces.chat_endpoint import is_about_length
from reasonlens.traces.chat_model import REPLY_COLUMNS, ChatModel
from reasonlens.traces.endpoint_annotator import N_SENTENCES, endpoint_annotator, request
from reasonlens.traces.label_replies import LINES, SCHEMA, label_schema, parse_labels

from .test_judge import Endpoint, Reply, endpoint, said

__all__ = ["endpoint"]  # the fixture
COGNITIVE = open_behaviour_set("cognitive")
TEXTS = ["First we need the area. Wait, that is wrong. It is 4.", "Check it again. Then the rest."]
WORDS = {"First": "subgoal-setting", "Wait": "backtracking", "Check": "Verification", "Then": "subgoal_setting"}
EXPECTED = [
    SentenceLabels(("subgoal-setting", "backtracking", "")),
    SentenceLabels(("verification", "subgoal-setting")),
]


def documents(texts: list[str] = TEXTS) -> list[SegmentedTrace]:
    return [segmented(Trace(f"t{number}", "How large?", text)) for number, text in enumerate(texts)]


def model(endpoint: Endpoint, **options: object) -> ChatModel:
    return ChatModel(**{"url": endpoint.url, "model": "m", "wait_s": 0.0} | options)  # type: ignore[arg-type]


def lines(text: str) -> list[str]:
    sentences = text.split("<sentences>\n")[1].split("\n</sentences>")[0].splitlines()
    return [re.sub(r"(\d+): (\w+).*", lambda m: f"{m[1]}: {WORDS.get(m[2], 'none')}", line) for line in sentences]


def test_the_labels_are_those_of_the_replies_in_order(endpoint: Endpoint) -> None:
    endpoint.reply = lambda number, text: said("<think>1: hmm</think>\n" + "\n".join(lines(text)))
    assert list(endpoint_annotator(model(endpoint), COGNITIVE)(documents())) == EXPECTED
    _, headers, body = endpoint.asked[0]
    assert len(endpoint.asked) == 2 and body["temperature"] == 0 and "Authorization" not in headers


def test_the_request_shows_definitions_problem_and_numbered_sentences_and_nothing_that_follows() -> None:
    text = " ".join(f"Sentence number {number} stands here." for number in range(60)) + " {first} <before>"
    (document,) = documents([text])
    first = request(document, range(0, N_SENTENCES), COGNITIVE)
    for behaviour in COGNITIVE:
        assert f"- {behaviour.name}: a sentence that {behaviour.definition}" in first
        assert behaviour.examples[0] in first
    assert "<problem>\nHow large?\n</problem>" in first and "\n1: Sentence number 0 stands here.\n" in first
    assert "number 39" in first and "number 40" not in first and "<before>" not in first
    second = request(document, range(N_SENTENCES, len(document.sentences)), COGNITIVE)
    assert "\n1: Sentence number 40 stands here.\n" in second and "{first} <before>" in second
    before = second.split("<before>\n")[1].split("\n</before>")[0]
    assert before.startswith("Sentence number 30") and before.endswith("number 39 stands here.")


@pytest.mark.parametrize(
    ("reply", "labels"),
    [
        ("1: backtracking\n2: none", ["backtracking", ""]),
        ("**1.** Backtracking\n[2] - `none`.", ["backtracking", ""]),
        (
            "Sentence 1: subgoal setting (a plan)\nSentence 2: VERIFICATION - it checks",
            ["subgoal-setting", "verification"],
        ),
        ('```json\n{"2": "none", "1": "backward_chaining"}\n```', ["backward-chaining", ""]),
        ('["none", "verification"]', ["", "verification"]),
        ("<think>1: none\n2: none</think>1: verification\n2: verification", ["verification", "verification"]),
        ("1: verification\n2: deduction", ["verification", None]),  # of another set
        ("1: verification\n1: none\n2: none", [None, ""]),  # two labels
        ("1: verification\n1: verification\n2: none\n3: none", ["verification", ""]),
        ("2: none", [None, ""]),
        ("I cannot.", [None, None]),
        ("<think>1: none", [None, None]),
        ("", [None, None]),
        ("[" * 100_000, [None, None]),
        ('{"1": ["none"], "x": "none", "2": 3}', [None, None]),
        ('{"1": "none", "2": "verification", "3"', ["", "verification"]),  # cut off
        ('{"1": "none", "2": "verific', ["", None]),
        ('{"1": "none", "1": "verification", "2": "none", ', [None, ""]),
    ],
)
def test_a_reply_is_read_in_any_form_that_says_one_label_a_sentence(reply: str, labels: list[str | None]) -> None:
    assert parse_labels(reply, 2, COGNITIVE) == labels


def obeying(text: str, schema: dict[str, Any]) -> str:
    """Reply as a model that knows no words, held to a schema: the last label for every number that must be there."""
    assert schema["type"] == "object" and schema["additionalProperties"] is False
    assert list(schema["properties"]) == schema["required"]
    assert {entry["$ref"] for entry in schema["properties"].values()} == {"#/$defs/label"}
    return json.dumps(dict.fromkeys(schema["required"], schema["$defs"]["label"]["enum"][-1]))


def test_structured_outputs_send_a_schema_of_every_sentence_and_every_label(endpoint: Endpoint) -> None:
    def reply(number: int, text: str) -> Reply:
        form = endpoint.asked[-1][2]["response_format"]
        assert form["type"] == "json_schema" and form["json_schema"]["strict"] is True
        assert "Reply with one object of JSON" in text and text.endswith('{"1": "verification"}')
        return said(obeying(text, form["json_schema"]["schema"]))

    endpoint.reply = reply
    held = endpoint_annotator(model(endpoint), COGNITIVE, form=SCHEMA)
    assert list(held(documents())) == [SentenceLabels(("",) * 3), SentenceLabels(("",) * 2)]
    schemas = [body["response_format"]["json_schema"]["schema"] for _, _, body in endpoint.asked]
    assert sorted(len(schema["required"]) for schema in schemas) == [2, 3], "each request has its own sentences"
    assert schemas[0]["$defs"]["label"]["enum"] == [*COGNITIVE.names, "none"]
    endpoint.reply = lambda number, text: said("\n".join(lines(text)))
    assert list(endpoint_annotator(model(endpoint), COGNITIVE)(documents())) == EXPECTED
    assert not any("response_format" in body for _, _, body in endpoint.asked[2:]), "and only where they are asked for"


def test_a_schema_takes_its_labels_and_nothing_else() -> None:
    options = label_schema(2, ("a", "none"))
    schema = options["response_format"]["json_schema"]["schema"]
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schema)
    for fits, content in (
        (True, {"1": "a", "2": "none"}),
        (False, {"1": "a"}),
        (False, {"1": "a", "2": "b"}),
        (False, {"1": "a", "2": "a", "3": "a"}),
        (False, ["a", "a"]),
    ):
        assert validator.is_valid(content) is fits, content


def test_replies_with_and_without_structured_outputs_are_kept_apart(endpoint: Endpoint, tmp_path: Path) -> None:
    log = RowLog(tmp_path / "replies.jsonl", about={}, key="key", columns=REPLY_COLUMNS)
    endpoint.reply = lambda number, text: said("\n".join(lines(text)))
    for form, n_asked in ((LINES, 2), (SCHEMA, 4), (LINES, 4), (SCHEMA, 4)):
        assert list(endpoint_annotator(model(endpoint), COGNITIVE, log, form=form)(documents())) == EXPECTED
        assert len(endpoint.asked) == n_asked, "an endpoint that heeds no schema may still reply in lines"


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (400, "Invalid schema for response_format 'labels': In context=(), 'minItems' exceeds the maximum"),  # OpenAI
        (400, 'Either "json_schema" or "grammar" can be specified, but not both'),  # llama.cpp
        (400, "This response_format type is unavailable now"),  # DeepSeek
        (422, "Extra inputs are not permitted: response_format"),
        (501, "structured outputs are not implemented"),
    ],
)
def test_an_endpoint_that_refuses_the_schema_gets_a_line_that_names_the_option(
    endpoint: Endpoint, status: int, refusal: str
) -> None:
    endpoint.reply = lambda *_: (status, {}, json.dumps({"error": {"message": refusal}}))
    asker = model(endpoint, n_parallel=1, n_tries=2)
    with pytest.raises(InputError, match=rf"{status} .*leave out --structured-outputs \(structured_outputs=False\)"):
        list(endpoint_annotator(asker, COGNITIVE, form=SCHEMA)(documents()))
    assert len(endpoint.asked) == (1 if status < 500 else 2), "and is asked in no halves, nor with lower limits"
    with pytest.raises(InputError) as raised:
        list(endpoint_annotator(asker, COGNITIVE)(documents()))
    assert "--structured-outputs" not in str(raised.value)


@pytest.mark.parametrize("status", [401, 503])
def test_a_refusal_for_another_reason_does_not_blame_the_schema(endpoint: Endpoint, status: int) -> None:
    endpoint.reply = lambda *_: (status, {}, "no")
    with pytest.raises(InputError, match=str(status)) as raised:
        list(endpoint_annotator(model(endpoint, n_tries=1), COGNITIVE, form=SCHEMA)(documents()))
    assert "--structured-outputs" not in str(raised.value)


def test_a_context_that_is_short_is_halved_with_structured_outputs_too(endpoint: Endpoint) -> None:
    short = of_context(endpoint, 1200)
    endpoint.reply = short
    annotator = endpoint_annotator(model(endpoint, n_parallel=1), COGNITIVE, form=SCHEMA)
    assert list(annotator(documents())) == EXPECTED
    assert [body["max_tokens"] for _, _, body in endpoint.asked] == [2048, 1024, 512] * 2
    assert len({json.dumps(body["response_format"]) for _, _, body in endpoint.asked}) == 2


def test_a_malformed_reply_is_counted_and_asked_for_once_more(endpoint: Endpoint) -> None:
    endpoint.reply = lambda number, text: said("\n".join(lines(text)) if "An earlier reply" in text else "Sure!")
    counted = [SentenceLabels(part.labels, 1) for part in EXPECTED]
    assert list(endpoint_annotator(model(endpoint), COGNITIVE)(documents())) == counted
    assert len(endpoint.asked) == 4
    endpoint.reply = lambda number, text: said("1: backtracking")
    twice = list(endpoint_annotator(model(endpoint), COGNITIVE)(documents()))
    assert twice == [SentenceLabels(("backtracking", None, None), 2), SentenceLabels(("backtracking", None), 2)]
    assert len(endpoint.asked) == 8, "no third request"


def test_long_responses_are_asked_in_parts_and_put_together(endpoint: Endpoint) -> None:
    texts = [" ".join(["Wait, no more.", "It is 4."] * 50), "Then stop."]
    endpoint.reply = lambda number, text: said("\n".join(lines(text)))
    first, second = endpoint_annotator(model(endpoint), COGNITIVE)(documents(texts))
    assert first.labels == ("backtracking", "") * 50 and second.labels == ("subgoal-setting",)
    assert len(endpoint.asked) == 4


# As vLLM 0.32 says it, of the limit and of the prompt.
LARGE_LIMIT = "max_tokens={} cannot be greater than max_model_len={}. Please request fewer output tokens."
LONG_PROMPT = "This model's maximum context length is {} tokens. However, your prompt contains at least {} input tokens"


def of_context(endpoint: Endpoint, n_context: int) -> Callable[[int, str], Reply]:
    """Make what an endpoint does whose model has a context of so many tokens, of four characters each."""

    def reply(number: int, text: str) -> Reply:
        limit, n_prompt = endpoint.asked[-1][2]["max_tokens"], len(text) // 4
        if limit + n_prompt <= n_context:
            return said("\n".join(lines(text)))
        is_limit = n_prompt < n_context
        message = LARGE_LIMIT.format(limit, n_context) if is_limit else LONG_PROMPT.format(n_context, n_prompt)
        return 400, {}, json.dumps({"error": {"message": message, "code": 400}})

    return reply


def sentences_asked(text: str) -> int:
    return len(text.split("<sentences>\n")[1].split("\n</sentences>")[0].splitlines())


def test_a_limit_of_the_reply_above_the_context_is_halved_until_it_fits(endpoint: Endpoint, tmp_path: Path) -> None:
    log = RowLog(tmp_path / "replies.jsonl", about={}, key="key", columns=REPLY_COLUMNS)
    endpoint.reply = of_context(endpoint, 1200)
    annotator = endpoint_annotator(model(endpoint, n_parallel=1), COGNITIVE, log)
    assert list(annotator(documents())) == EXPECTED
    assert [body["max_tokens"] for _, _, body in endpoint.asked] == [2048, 1024, 512] * 2
    assert list(annotator(documents())) == EXPECTED and len(endpoint.asked) == 6, "nothing is asked twice"


def test_sentences_that_do_not_fit_together_are_asked_in_halves(endpoint: Endpoint) -> None:
    texts = ["Check it. " + " ".join(["Wait, no more.", "It is 4."] * 15), "Then stop."]
    endpoint.reply = of_context(endpoint, 800)
    first, second = endpoint_annotator(model(endpoint, n_parallel=1), COGNITIVE)(documents(texts))
    assert first == SentenceLabels(("verification", *("backtracking", "") * 15)) and second.labels == (
        "subgoal-setting",
    )
    sizes = [sentences_asked(body["messages"][0]["content"]) for *_, body in endpoint.asked]
    assert sizes == [31] * 4 + [1] * 4 + [15] * 4 + [16] * 4, "only the fourth limit fits, and none for all 31"


def test_a_reply_that_the_context_cuts_off_is_asked_for_in_halves(endpoint: Endpoint, tmp_path: Path) -> None:
    """vLLM lowers a limit that the context holds, but not beside the prompt, by itself."""
    log = RowLog(tmp_path / "replies.jsonl", about={}, key="key", columns=REPLY_COLUMNS)

    def clipped(number: int, text: str) -> Reply:
        labels, room = lines(text), 800 - len(text) // 4
        is_cut = len(labels) * 16 > room
        content = "\n".join(labels[: room // 16] if is_cut else labels)
        choice = {"message": {"content": content}, "finish_reason": "length" if is_cut else "stop"}
        return 200, {}, json.dumps({"choices": [choice], "usage": {"completion_tokens": room if is_cut else 9}})

    endpoint.reply = clipped
    texts = ["Check it. " + " ".join(["Wait, no more.", "It is 4."] * 15)]
    for _ in range(2):  # the second time from the log alone
        annotator = endpoint_annotator(model(endpoint, n_parallel=1), COGNITIVE, log)
        assert list(annotator(documents(texts))) == [SentenceLabels(("verification", *("backtracking", "") * 15))]
        assert [sentences_asked(body["messages"][0]["content"]) for *_, body in endpoint.asked] == [31, 15, 16]
        log = RowLog(tmp_path / "replies.jsonl", about={}, key="key", columns=REPLY_COLUMNS)


@pytest.mark.parametrize(("limit", "label"), [({"max_tokens": 9}, "backtracking"), ({}, None)])
def test_a_reply_that_its_own_limit_cuts_off_is_read(
    endpoint: Endpoint, limit: dict[str, int], label: str | None
) -> None:
    cut = {"message": {"content": "1: backtracking"}, "finish_reason": "length"}
    endpoint.reply = lambda *_: (200, {}, json.dumps({"choices": [cut], "usage": {"completion_tokens": 9}}))
    asker = model(endpoint, options={"temperature": 0, **limit})
    (labels,) = endpoint_annotator(asker, COGNITIVE)(documents(["Check it."]))
    assert labels == SentenceLabels((label,)), "without a limit of its own the context has cut it off"


def test_an_endpoint_of_a_short_context_that_fails_is_paid_nothing_twice(endpoint: Endpoint, tmp_path: Path) -> None:
    texts = ["Check it. " + " ".join(["Wait, no more.", "It is 4."] * 15), "Then stop."]
    short, paid = of_context(endpoint, 800), []
    n_most = 2

    def fails_after(number: int, text: str) -> Reply:
        reply = short(number, text) if len(paid) < n_most else (403, {}, "no more")
        paid.extend([text] * (reply[0] == 200))
        return reply

    endpoint.reply = fails_after
    for number in range(2):
        log = RowLog(tmp_path / "replies.jsonl", about={}, key="key", columns=REPLY_COLUMNS)
        annotator = endpoint_annotator(model(endpoint, n_parallel=1), COGNITIVE, log)
        if number == 0:
            with pytest.raises(InputError, match="403"):
                list(annotator(documents(texts)))
            assert len(paid) == 2
            n_most = 9
    first, second = annotator(documents(texts))
    assert first.labels == ("verification", *("backtracking", "") * 15) and second.labels == ("subgoal-setting",)
    assert len(paid) == len(set(paid)) == 3


def test_a_sentence_that_does_not_fit_is_not_known_and_no_malformed_reply(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.reply = of_context(endpoint, 1000)
    long = "Wait, it is " + "much, " * 1000 + "more."
    first, second = endpoint_annotator(model(endpoint), COGNITIVE)(documents([f"Check it. {long}", "Then stop."]))
    assert first == SentenceLabels(("verification", None)) and second == SentenceLabels(("subgoal-setting",))
    assert "1 sentence does not fit into the context of 'm'" in caplog.text


def test_a_context_into_which_no_request_fits_is_refused(endpoint: Endpoint) -> None:
    endpoint.reply = of_context(endpoint, 100)
    with pytest.raises(
        InputError, match="the context of 'm' is too short for a request of one sentence: serve it with"
    ):
        list(endpoint_annotator(model(endpoint), COGNITIVE)(documents()))


def test_another_refusal_ends_at_once(endpoint: Endpoint) -> None:
    endpoint.reply = lambda *_: (400, {}, '{"error": "the model m does not exist"}')
    with pytest.raises(InputError, match=r"refuses: 400 .* Check the address, the model and the key\."):
        list(endpoint_annotator(model(endpoint, n_parallel=1), COGNITIVE)(documents()))
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    ("refusal", "is_long"),
    [
        (LARGE_LIMIT, True),
        (LONG_PROMPT, True),
        ("max_tokens is too large: 9000. This model supports at most 4096 completion tokens", True),  # OpenAI
        ("the request exceeds the available context size, try increasing it", True),  # llama.cpp
        ("Requested token count exceeds the model's maximum context length of 4096 tokens.", True),  # SGLang
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3000 `inputs` tokens", True),  # TGI
        ("max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens", True),  # Anthropic
        ("Unsupported parameter: 'max_tokens' is not supported with this model.", False),
        ("temperature: Input should be less than or equal to 2", False),
        ("Invalid authentication token", False),
        ("Invalid schema for response_format 'labels': In context=(), the enum exceeds the maximum of 500", False),
        ("", False),
    ],
)
def test_a_refusal_for_length_is_told_from_others(refusal: str, is_long: bool) -> None:
    assert is_about_length(refusal) is is_long


def test_nothing_is_asked_twice_after_an_endpoint_that_fails(endpoint: Endpoint, tmp_path: Path) -> None:
    log = RowLog(tmp_path / "replies.jsonl", about={}, key="key", columns=REPLY_COLUMNS)
    endpoint.reply = lambda number, text: said("\n".join(lines(text))) if number == 1 else (403, {}, "no more")
    with pytest.raises(InputError, match="refuses: 403 .* The replies so far are kept in .*replies.jsonl"):
        list(endpoint_annotator(model(endpoint, n_parallel=1), COGNITIVE, log)(documents()))
    endpoint.reply = lambda number, text: said("\n".join(lines(text)))
    again = RowLog(tmp_path / "replies.jsonl", about={}, key="key", columns=REPLY_COLUMNS)
    assert list(endpoint_annotator(model(endpoint), COGNITIVE, again)(documents())) == EXPECTED
    assert len(endpoint.asked) == 3
    assert list(endpoint_annotator(model(endpoint), COGNITIVE, again)(documents())) == EXPECTED
    assert len(endpoint.asked) == 3
    other = model(endpoint, options={"temperature": 0, "max_tokens": 9})
    list(endpoint_annotator(other, COGNITIVE, again)(documents()))
    assert len(endpoint.asked) == 5, "other options are another question"


def test_the_key_is_sent_and_neither_shown_nor_kept(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    monkeypatch.setenv("MY_KEY", "sk-very-secret-key")
    log = RowLog(tmp_path / "replies.jsonl", about={}, key="key", columns=REPLY_COLUMNS)
    asker = model(endpoint, key_variable="MY_KEY", n_tries=1)
    endpoint.reply = lambda number, text: said("\n".join(lines(text)) + "\nyour key: sk-very-secret-key")
    assert list(endpoint_annotator(asker, COGNITIVE, log)(documents())) == EXPECTED
    assert endpoint.asked[0][1]["Authorization"] == "Bearer sk-very-secret-key"
    endpoint.reply = lambda *_: (401, {}, "wrong: sk-very-secret-key")
    with pytest.raises(InputError, match="401") as raised:
        list(endpoint_annotator(asker, COGNITIVE, log)(documents(["Something new."])))
    shown = [str(raised.value), repr(asker), caplog.text, (tmp_path / "replies.jsonl").read_text()]
    assert not any("very-secret" in text for text in shown)


def test_a_response_without_sentences_asks_nothing(endpoint: Endpoint) -> None:
    assert list(endpoint_annotator(model(endpoint), COGNITIVE)(documents(["", " \n"]))) == [SentenceLabels(())] * 2
    assert not endpoint.asked


def test_an_address_that_is_none_names_the_endpoint() -> None:
    with pytest.raises(InputError, match="an endpoint's address begins with http"):
        ChatModel(url="host/v1", model="m")
    with pytest.raises(InputError, match="an endpoint's model is empty"):
        ChatModel(url="http://host/v1", model=" ")
    with pytest.raises(InputError, match=r"hold 'model', which the endpoint sends itself: give it as ChatModel\(model"):
        ChatModel(url="http://host/v1", model="m", options=json.loads('{"model": 1}'))
