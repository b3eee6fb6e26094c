"""Stability of boundaries: on an organism whose behaviours are known, against chance, and by hand."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reasonlens import (
    InputError,
    Span,
    StabilitySettings,
    Trace,
    encode,
    load,
    stability,
)
from reasonlens.analysis.boundaries import COLUMNS, KEY, sample_boundaries
from reasonlens.analysis.boundary import Boundary, prefix_of, sample_boundary
from reasonlens.analysis.stability_result import Stability
from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel
from reasonlens.organisms import BEHAVIOUR, MOVE_OF, organism_annotator, organisms_traces, problem_of, steps
from reasonlens.organisms.language import OPENERS
from reasonlens.rundir import RowLog

RL = "organism/rl-timing"
QUICK = {"annotator": organism_annotator, "max_new_tokens": 14, "progress": False}


@pytest.fixture(scope="module")
def own() -> list[Trace]:
    return organisms_traces(RL, 12, seed=5)


@pytest.fixture(scope="module")
def found(own: list[Trace]) -> Stability:
    return sample_boundaries(RL, own, temperature=1.0, top_p=1.0, **QUICK)


def returned(found: Stability) -> float:
    return float(np.mean([boundary.share for boundary in found.boundaries]))


# ---- what the model says by itself, and chance ----


def test_behaviours_of_the_model_itself_return_far_more_often_than_by_chance(found: Stability) -> None:
    table = found.summary().set_index("behaviour")
    assert returned(found) > 0.85 and found.to_frame()["is_seen"].all()
    for behaviour in ("backtracking", "deduction", "example-testing", "verification", "answering"):
        row = table.loc[behaviour]
        assert row["return_rate"] > 0.6 and row["base_rate"] < 0.1 and row["base_stable"] < 0.1
        assert row["return_rate_low"] > row["base_rate_high"] and row["share_stable_low"] > row["base_stable_high"]


@pytest.mark.long
def test_shuffled_labels_return_at_the_base_rate(own: list[Trace], found: Stability) -> None:
    labels = [span.label for trace in own for span in trace.spans]
    order = iter(np.random.default_rng(0).permutation(labels).tolist())
    shuffled = [
        replace(trace, spans=tuple(Span(span.start, span.end, next(order)) for span in trace.spans)) for trace in own
    ]
    control = sample_boundaries(RL, shuffled, temperature=1.0, top_p=1.0, **QUICK)
    assert [each.found for each in control.boundaries] == [each.found for each in found.boundaries]  # labels steer none
    chance = sum((count / len(labels)) ** 2 for count in Counter(labels).values())
    assert abs(returned(control) - chance) < 0.08 < returned(found) - chance
    for _, row in control.summary().query("n_boundaries >= 15").iterrows():
        assert abs(row["return_rate"] - row["base_rate"]) < 0.25
        assert row["return_rate_low"] < row["base_rate_high"] and row["base_rate_low"] < row["return_rate_high"]


def test_greedy_responses_return_always_when_continued_greedily() -> None:
    greedy = organisms_traces(RL, 8, seed=1, greedy=True)
    found = sample_boundaries(RL, greedy, temperature=0, **QUICK)
    assert [boundary.found for boundary in found.boundaries] == [(boundary.label,) for boundary in found.boundaries]
    assert found.stable(1.0) == greedy
    for boundary in found.boundaries:
        trace = next(trace for trace in greedy if trace.id == boundary.trace)
        said = trace.text_of(trace.spans[boundary.span])
        assert boundary.said[0].strip().startswith(said)


def test_shares_are_the_probabilities_of_the_words_that_open_sentences(own: list[Trace]) -> None:
    """At a decision, the behaviour of what comes is that of its two opening words, whose probability the logits say."""
    model, n = load(RL, device="cpu"), 1000
    trace, span = next(
        (trace, number)
        for trace in own
        for number, step in enumerate(steps(problem_of(trace.prompt), trace.text))
        if step.state == "found"
    )
    prefix = prefix_of(model, trace, span, "auto")
    assert prefix is not None
    words = model.tokenizer.get_vocab()
    opened = [[*prefix.token_ids.tolist(), words[opener]] for opener in OPENERS]
    with torch.no_grad():
        first = model.model(torch.from_numpy(prefix.token_ids)[None]).logits[0, -1].double().softmax(-1)
        second = model.model(torch.tensor(opened)).logits[:, -1].double().softmax(-1)
    expected: Counter[str] = Counter()
    for (opener, word), move in MOVE_OF.items():
        expected[BEHAVIOUR[move]] += float(first[words[opener]] * second[OPENERS.index(opener), words[word]])
    assert 0.5 < expected["verification"] < 0.99 and expected.total() > 0.98
    sampling = Sampling(n_samples=n, temperature=1.0, top_p=1.0, max_new_tokens=14)
    boundary = sample_boundary(model, trace, span, prefix, sampling, organism_annotator, seed=0)
    for behaviour, probability in expected.items():
        assert abs(boundary.share_of(behaviour) - probability) < 5 * np.sqrt(probability / n)


# ---- tokens and text ----


SENTENCES = (
    "Die Fläche ist 5 m².",
    "Hmm – naïve Prüfung 🙂 folgt.",
    "🙂 So – 因此 – it is 7 m².",
    "Wait, 更大 it was 9.",
)
TEXT = "{} {} {}\n\n  {}".format(*SENTENCES)
STARTS = [TEXT.index(sentence) for sentence in SENTENCES]
MULTI_BYTE = Trace(
    "multi-byte",
    "Größe? 🙂",
    TEXT,
    (
        *(Span(start, start + len(said), f"{start}") for start, said in zip(STARTS, SENTENCES, strict=True)),
        Span(STARTS[3] + 6, STARTS[3] + 8, "middle of a sentence"),
    ),
)


@pytest.mark.parametrize("template", ["plain", "chat"])
def test_the_prefix_is_a_slice_of_the_tokens_of_the_whole_and_is_annotated_as_the_text_it_is(
    template: str, tiny: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, text = tiny(), MULTI_BYTE.text
    markup = "{% for m in messages %}<s>user: {{ m.content }}</s>{% endfor %}<s>answer:"
    monkeypatch.setattr(model.tokenizer, "chat_template", markup)
    (encoded,) = encode(model, [MULTI_BYTE], template=template)
    heard: list[str] = []

    def annotator(prompt: str, text: str) -> list[Span]:
        assert prompt == MULTI_BYTE.prompt
        heard.append(text)
        return []

    for number, span in enumerate(MULTI_BYTE.spans):
        prefix = prefix_of(model, MULTI_BYTE, number, template)
        assert prefix is not None and encoded.spans[number] is not None
        assert prefix.token_ids.tolist() == encoded.token_ids[: encoded.spans[number][0]].tolist()
        heard.clear()
        sampling = Sampling(n_samples=2, max_new_tokens=4)
        boundary = sample_boundary(model, MULTI_BYTE, number, prefix, sampling, annotator, seed=0)
        own, *others = heard
        before = text[: span.start].rstrip()
        sentence = min(number, 3)
        assert own == text[: STARTS[sentence] + len(SENTENCES[sentence])]
        assert boundary.found == (None, None) and len(others) == 2
        assert all(other.startswith(before) for other in others)
        assert all(other.endswith(said) for other, said in zip(others, boundary.said, strict=True))


def test_a_continuation_is_labelled_by_its_first_sentence_only(tiny: Callable[..., LanguageModel]) -> None:
    """Keyword labels: white space may come first, short pieces count, what follows the first sentence does not."""
    text = "The sum is 9. Wait. That is wrong! So it is 8."
    trace = Trace("a", "What?", text, (Span(14, 34, "backtracking"), Span(35, 46, "deduction"), Span(4, 7, "no start")))
    found = sample_boundaries(tiny(), [trace], n_samples=1, max_new_tokens=1, progress=False)
    assert {each.label: each.is_seen for each in found.boundaries} == {
        "backtracking": True,
        "deduction": True,
        "no start": False,
    }
    late = replace(trace, text="The sum is 9. That is a wrong one! Wait for it.", spans=(Span(14, 47, "backtracking"),))
    found = sample_boundaries(tiny(), [late], n_samples=1, max_new_tokens=1, progress=False)
    assert [each.is_seen for each in found.boundaries] == [False]


def test_boundaries_with_nothing_before_them_or_truncated_away_are_left_out(tiny: Callable[..., LanguageModel]) -> None:
    first = Trace("a", "", "So it is 9. Wait, it is 8.", (Span(0, 11, "deduction"), Span(12, 26, "backtracking")))
    options = {"n_samples": 1, "max_new_tokens": 1, "progress": False}
    assert [each.span for each in sample_boundaries(tiny(), [first], **options).boundaries] == [1]
    with pytest.raises(InputError, match="no boundary can be sampled: every span was truncated away or has nothing"):
        sample_boundaries(tiny(), [first], behaviours=["deduction"], **options)
    long = Trace("b", "Count.", "one two three " * 400, (Span(0, 7, "early"), Span(5000, 5007, "late")))
    with pytest.raises(InputError, match="more than the 1024 of tiny-llama's context"):
        sample_boundaries(tiny(), [long], **options)
    assert [each.span for each in sample_boundaries(tiny(), [long], truncate=True, **options).boundaries] == [0]


# ---- seeds, files, resuming ----


def test_a_seed_gives_the_same_whatever_else_is_sampled_and_leaves_global_randomness_alone(own: list[Trace]) -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    some = sample_boundaries(RL, own[:1], seed=3, **QUICK)
    torch.set_rng_state(torch.Generator().manual_seed(11).get_state())
    again = sample_boundaries(RL, own[:1], seed=3, **QUICK)
    torch.set_rng_state(states[0])
    few = sample_boundaries(RL, own[:1], seed=3, max_boundaries=4, behaviours=["deduction", "backtracking"], **QUICK)
    other = sample_boundaries(RL, own[:1], seed=4, temperature=1.5, **QUICK)
    assert some.boundaries == again.boundaries != other.boundaries
    assert len(few.boundaries) == 4 and set(few.boundaries) < set(some.boundaries)
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[2]
    assert np.array_equal(np.random.get_state()[1], states[1])


class Killed(BaseException):
    pass


def killed_after(n_calls: int) -> Callable[[str, str], Sequence[Span]]:
    left = iter(range(n_calls))

    def annotator(prompt: str, text: str) -> list[Span]:
        if next(left, None) is None:
            raise Killed
        return organism_annotator(prompt, text)

    annotator.__module__, annotator.__qualname__ = organism_annotator.__module__, organism_annotator.__qualname__
    return annotator


def rows_in(path: Path) -> RowLog:
    return RowLog(path, about={"what": "boundaries"}, key=KEY, columns=COLUMNS)


def test_a_run_that_was_killed_goes_on_and_ends_the_same_to_the_byte(own: list[Trace], tmp_path: Path) -> None:
    options = {**QUICK, "temperature": 1.5}
    whole = sample_boundaries(RL, own[:1], log=rows_in(tmp_path / "whole.jsonl"), **options)
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + len(whole.boundaries)
    for n_calls, torn in ((7, lines[2][:20]), (16, lines[4][:-1]), (50, "ü".encode()[:1])):
        path = tmp_path / f"{n_calls}.jsonl"
        with pytest.raises(Killed):
            sample_boundaries(RL, own[:1], log=rows_in(path), **{**options, "annotator": killed_after(n_calls)})
        assert path.read_bytes() == b"".join(lines[: 1 + n_calls // 5])  # five labels for each boundary
        path.write_bytes(path.read_bytes() + torn)
        resumed = sample_boundaries(RL, own[:1], log=rows_in(path), **options)
        assert resumed.boundaries == whole.boundaries and resumed.settings == whole.settings
        assert path.read_bytes() == b"".join(lines)


def test_a_finished_file_is_read_without_the_model_speaking_and_takes_further_boundaries(
    own: list[Trace], tmp_path: Path
) -> None:
    path = tmp_path / "some.jsonl"
    few = sample_boundaries(RL, own[:1], log=rows_in(path), max_boundaries=6, **QUICK)
    silent = {**QUICK, "annotator": killed_after(0)}
    again = sample_boundaries(RL, own[:1], log=rows_in(path), max_boundaries=6, **silent)
    assert again.boundaries == few.boundaries
    more = sample_boundaries(RL, own[:1], log=rows_in(path), **QUICK)
    assert more.boundaries == sample_boundaries(RL, own[:1], **QUICK).boundaries
    assert set(few.boundaries) < set(more.boundaries)


SETTINGS = StabilitySettings(
    n_samples=2, max_new_tokens=14, max_boundaries=12, layers=(1,), n_folds=3, n_bootstrap=20, n_random=2
)


def run(own: list[Trace], out: Path, model: str = RL, **changes: object) -> Stability:
    return stability(model, own, settings=replace(SETTINGS, **changes), out=out, device="cpu", progress=False)


def test_a_run_of_other_settings_traces_or_models_is_refused_and_left_alone(own: list[Trace], tmp_path: Path) -> None:
    run(own, tmp_path / "run")
    content = (tmp_path / "run" / "boundaries.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"holds another run \(n_samples 2 there, 5 asked, seed 0 there, 1 asked\)"):
        run(own, tmp_path / "run", n_samples=5, seed=1)
    with pytest.raises(InputError, match="content of traces .* there, .* asked"):
        run(own[:3], tmp_path / "run")
    with pytest.raises(
        InputError, match=r"content of model .*\(organism/rl-timing\) there, .*\(organism/base-timing\) asked"
    ):
        run(own, tmp_path / "run", model="organism/base-timing")
    assert (tmp_path / "run" / "boundaries.jsonl").read_bytes() == content


def test_a_run_that_is_done_is_read_back(own: list[Trace], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = run(own, tmp_path / "run")
    with caplog.at_level("INFO", logger="reasonlens"):
        again = run(own, tmp_path / "run")
    assert any("done already" in line for line in caplog.messages)
    assert again.boundaries == first.boundaries and again.stable() == first.stable()
    assert json.dumps(again.to_dict()) == json.dumps(first.to_dict())


def test_another_threshold_or_more_boundaries_go_on_from_the_rows_that_are_there(
    own: list[Trace], tmp_path: Path
) -> None:
    first = run(own, tmp_path / "run")
    rows = (tmp_path / "run" / "boundaries.jsonl").read_bytes()
    stricter = run(own, tmp_path / "run", threshold=1.0)
    assert (tmp_path / "run" / "boundaries.jsonl").read_bytes() == rows
    assert stricter.boundaries == first.boundaries and stricter.threshold == 1.0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["settings"]["threshold"] == 1.0
    more = run(own, tmp_path / "run", max_boundaries=16)
    assert (tmp_path / "run" / "boundaries.jsonl").read_bytes().startswith(rows)
    assert len(more.boundaries) == 16 and set(first.boundaries) <= set(more.boundaries)


def test_what_is_wrong_with_the_input_leaves_no_directory(own: list[Trace], tmp_path: Path) -> None:
    for changes, message in (
        ({"layers": (9,)}, "layer 9 does not exist"),
        ({"template": "chat"}, "has no chat template"),
        ({"behaviours": ("dreaming",)}, "no span is labelled 'dreaming'"),
        ({"read": "median"}, "unknown read"),
    ):
        with pytest.raises(InputError, match=message):
            run(own, tmp_path / "run", **changes)
        assert not (tmp_path / "run").exists()


# ---- tables and traces, by hand ----


def by_hand(*found: tuple[str, str, tuple[str | None, ...]]) -> Stability:
    """Boundaries (problem, label, what came), a trace for each problem."""
    boundaries, spans = [], {}
    for problem, label, came in found:
        held = spans.setdefault(problem, [])
        boundary = Boundary(
            trace=problem,
            problem=problem,
            span=len(held),
            label=label,
            is_seen=True,
            found=came,
            said=("",) * len(came),
        )
        boundaries.append(boundary)
        held.append(Span(2 * len(held), 2 * len(held) + 1, label))
    traces = tuple(Trace(name, name, "x " * 9, tuple(held)) for name, held in spans.items())
    return Stability(boundaries=tuple(boundaries), traces=traces, model={}, settings={"n_samples": 2})


HAND = by_hand(
    ("p", "a", ("a", "a")),
    ("p", "b", ("a", None)),
    ("q", "a", ("b", "a")),
    ("q", "a", ("b", "c")),
    ("r", "b", ("b", "b")),
)


def test_the_summary_counts_what_a_hand_counts() -> None:
    table = HAND.summary().set_index("behaviour")
    assert table.loc["a", ["n_boundaries", "n_problems", "n_seen", "n_stable", "n_others"]].tolist() == [3, 2, 3, 2, 2]
    assert table.loc["a", "share_stable"] == pytest.approx(2 / 3)
    assert table.loc["a", "return_rate"] == pytest.approx(3 / 6)
    assert table.loc["a", "base_rate"] == pytest.approx(1 / 4) and table.loc["a", "base_stable"] == pytest.approx(1 / 2)
    assert table.loc["b", "return_rate"] == pytest.approx(2 / 4) and table.loc["b", "base_rate"] == pytest.approx(2 / 6)
    # Wilson: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    z, n, p = 1.959964, 2, 1 / 2  # the boundaries of b, each of a problem of its own
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert table.loc["a", "base_stable_low"] == pytest.approx((middle - half) / (1 + z**2 / n), abs=1e-5)
    assert table.loc["a", "base_stable_high"] == pytest.approx((middle + half) / (1 + z**2 / n), abs=1e-5)
    assert table.loc["a", "share_stable_low"] < 0.20766, "two of its three boundaries are alike: wider than Wilson's"
    assert HAND.summary(1.0).set_index("behaviour")["n_stable"].to_dict() == {"a": 1, "b": 1}
    assert HAND.to_frame()["share"].tolist() == [1.0, 0.0, 0.5, 0.0, 1.0]
    assert HAND.to_frame()["n_returned"].tolist() == [2, 0, 1, 0, 2]


def test_one_behaviour_alone_has_no_base_rate() -> None:
    (row,) = by_hand(("p", "a", ("a",)), ("q", "a", ("b",))).summary().to_dict("records")
    assert row["share_stable"] == 0.5 and np.isnan(row["base_rate"]) and np.isnan(row["base_stable_low"])


def test_only_stable_spans_of_sampled_behaviours_are_kept_and_all_of_the_others() -> None:
    sampled = replace(HAND, boundaries=tuple(each for each in HAND.boundaries if each.label == "a")[:2])
    kept = [[(trace.id, span.start, span.label) for span in trace.spans] for trace in sampled.stable()]
    assert kept == [[("p", 0, "a"), ("p", 2, "b")], [("q", 0, "a")], [("r", 0, "b")]]
    assert [len(trace.spans) for trace in sampled.stable(1.0)] == [2, 0, 1]  # a trace stays without spans
    assert [len(trace.spans) for trace in sampled.sampled()] == [2, 1, 1]
    assert HAND.sampled() == list(HAND.traces)


def test_few_boundaries_are_spread_over_the_behaviours(own: list[Trace]) -> None:
    found = sample_boundaries(RL, own, max_boundaries=14, n_samples=1, **QUICK)
    counts = Counter(each.label for each in found.boundaries)
    assert sum(counts.values()) == 14 and len(counts) >= 8 and max(counts.values()) <= 2
    order = [trace.id for trace in own]
    places = [(order.index(each.trace), each.span) for each in found.boundaries]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"behaviours": ["backtrack"]}, "no span is labelled 'backtrack'; the labels are answering, backtracking"),
        ({"max_boundaries": 0}, "at least one boundary must be sampled, not 0"),
        ({"seed": -1}, "a seed must lie between 0 and 4294967295, and -1 does not"),
        ({"n_samples": 0}, "at least one continuation"),
        ({"template": "chat"}, "has no chat template"),
    ],
)
def test_what_cannot_be_sampled_is_refused(own: list[Trace], options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sample_boundaries(RL, own, **QUICK, **options)


def test_traces_without_spans_with_one_id_and_thresholds_that_are_no_share_are_refused(own: list[Trace]) -> None:
    with pytest.raises(InputError, match="the traces hold no labelled span"):
        sample_boundaries(RL, [replace(own[0], spans=())], **QUICK)
    with pytest.raises(InputError, match="two traces have the same id"):
        sample_boundaries(RL, [own[0], own[0]], **QUICK)
    for threshold in (0.0, 1.1, float("nan")):
        with pytest.raises(InputError, match="a threshold is a share of the continuations, above 0 and up to 1"):
            HAND.stable(threshold)
        with pytest.raises(InputError, match="a threshold is a share"):
            HAND.summary(threshold)


def test_a_row_of_the_file_says_what_was_said(own: list[Trace], tmp_path: Path) -> None:
    found = sample_boundaries(RL, own[:1], log=rows_in(tmp_path / "a.jsonl"), max_boundaries=1, **QUICK)
    _, row = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert row["said"] == list(found.boundaries[0].said) and len(row["said"]) == 4
    assert found.settings["annotator"].endswith("organism_annotator")
