"""`sample`: from a model and problems to a file of graded traces, resumed to the sample, ending in the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasonlens import (
    InputError,
    ProblemSet,
    Question,
    Samples,
    SampleSettings,
    Trace,
    read_traces,
    sample,
    write_traces,
)
from reasonlens.generation.engines import ENGINES, Engine, Place
from reasonlens.models import LanguageModel
from reasonlens.organisms import is_solved, organism_annotator, problem_of, problems

QUESTIONS = [Question(f"p{number}", f"What is {number} + 1?", str(number + 1)) for number in range(4)]
SETTINGS = SampleSettings(n_samples=3, max_new_tokens=16, seed=2)


@pytest.fixture
def model(tiny: Callable[..., LanguageModel]) -> LanguageModel:
    """A model that ends some of its texts early."""
    model = tiny("llama")
    model.model.generation_config.eos_token_id = list(range(40, 60))
    return model


def drawn(model: Any, out: Path | None, settings: SampleSettings = SETTINGS, **options: Any) -> Samples:
    return sample(model, QUESTIONS, out=out, settings=settings, progress=False, **options)


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_the_file_holds_every_sample_in_order_as_traces_that_can_be_read(model: LanguageModel, tmp_path: Path) -> None:
    result = drawn(model, tmp_path / "t.jsonl")
    rows = rows_of(tmp_path / "t.jsonl")
    assert [row["id"] for row in rows] == [
        f"questions-{place}-{number}" for place in (1, 2, 3, 4) for number in range(3)
    ]
    assert read_traces(tmp_path / "t.jsonl") == result.traces
    assert [row["problem"] for row in rows] == [f"p{place}" for place in range(4) for _ in range(3)]
    for row, one in zip(rows, result.samples, strict=True):
        assert row["spans"] == [] and row["prompt"] == QUESTIONS[int(row["problem"][1:])].prompt
        metadata = row["metadata"]
        assert metadata["reference"] == str(int(row["problem"][1:]) + 1)
        assert (metadata["grade"], metadata["truncated"], metadata["n_tokens"], metadata["sample"]) == (
            *(one.grade, one.is_truncated, one.n_tokens, one.sample),
        )
        assert (metadata["engine"], metadata["model"], metadata["seed"]) == ("transformers", "tiny-llama", 2)
    assert {row["metadata"]["truncated"] for row in rows} == {True, False}
    assert result.n_new == 12 and result.tokens_per_second is not None and result.tokens_per_second > 0


class Killed(Exception):
    """Stands for a kill: nothing is tidied up."""


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`killed_after(3)`: the engine dies when it hands on its fourth response."""
    honest = ENGINES["transformers"]

    def arrange(n_responses: int) -> None:
        def open_(model: Any, place: Place) -> Any:
            writer = honest.open(model, place)

            class Dying:
                def write(self, requests: Any, manner: Any, done: Any, keep: Any) -> Any:
                    left = [n_responses]

                    def keep_or_die(*response: Any) -> None:
                        if not left[0]:
                            raise Killed
                        left[0] -= 1
                        keep(*response)

                    return writer.write(requests, manner, done, keep_or_die)

            return Dying()

        dying = honest if n_responses < 0 else Engine(identify=honest.identify, open=open_)
        monkeypatch.setitem(ENGINES, "transformers", dying)

    return arrange


@pytest.mark.parametrize("n_rows", [128, 5])
def test_a_run_that_dies_again_and_again_ends_in_the_same_bytes(
    model: LanguageModel, tmp_path: Path, killed_after: Callable[[int], None], n_rows: int
) -> None:
    settings = SampleSettings(n_samples=3, max_new_tokens=16, seed=2, n_rows=n_rows)
    drawn(model, tmp_path / "whole.jsonl", settings)
    n_logged = []
    for n_responses in (0, 1, 3, 2, 1):
        killed_after(n_responses)
        with pytest.raises(Killed):
            drawn(model, tmp_path / "t.jsonl", settings)
        assert not (tmp_path / "t.jsonl").exists(), "the file is whole or not there"
        log = tmp_path / "t.jsonl.rows"
        n_logged.append(len(log.read_text().splitlines()) - 1 if log.exists() else 0)
    assert n_logged == [0, 1, 4, 6, 7], "each sample is kept as soon as it is there"
    with (tmp_path / "t.jsonl.rows").open("ab") as file:
        file.write(b'{"key": "half of a li')  # as of a kill within a write
    killed_after(-1)
    result = drawn(model, tmp_path / "t.jsonl", settings)
    assert result.n_new == 5
    assert (tmp_path / "t.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_more_samples_and_problems_are_added_to_those_that_are_there(model: LanguageModel, tmp_path: Path) -> None:
    few = SampleSettings(n_samples=2, n_problems=3, max_new_tokens=16, seed=2)
    drawn(model, tmp_path / "t.jsonl", few)
    assert len(rows_of(tmp_path / "t.jsonl")) == 6
    assert drawn(model, tmp_path / "t.jsonl").n_new == 6
    assert drawn(model, tmp_path / "t.jsonl").n_new == 0
    drawn(model, tmp_path / "other.jsonl")
    assert (tmp_path / "t.jsonl").read_bytes() == (tmp_path / "other.jsonl").read_bytes()
    assert drawn(model, None).samples == drawn(model, tmp_path / "t.jsonl").samples


def test_a_sample_does_not_depend_on_which_other_problems_there_are(model: LanguageModel) -> None:
    texts = {(trace.problem, trace.id[-1]): trace.text for trace in drawn(model, None).traces}
    alone = sample(model, QUESTIONS[2:3], settings=SETTINGS, progress=False)
    assert [trace.text for trace in alone.traces] == [texts["p2", str(number)] for number in range(3)]


def test_other_settings_or_another_model_do_not_go_on_from_what_is_there(
    model: LanguageModel, tiny: Callable[..., LanguageModel], tmp_path: Path
) -> None:
    drawn(model, tmp_path / "t.jsonl")
    before = (tmp_path / "t.jsonl").read_bytes()
    with pytest.raises(InputError, match="rows of something else .*temperature"):
        drawn(model, tmp_path / "t.jsonl", SampleSettings(n_samples=3, max_new_tokens=16, seed=2, temperature=0.5))
    with pytest.raises(InputError, match="rows of something else .*model"):
        drawn(tiny("gpt2"), tmp_path / "t.jsonl")
    assert (tmp_path / "t.jsonl").read_bytes() == before


def test_a_file_that_is_no_samples_is_not_written_over(model: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("mine")
    with pytest.raises(InputError, match="is there and no samples of this command"):
        drawn(model, tmp_path / "mine.jsonl")
    assert (tmp_path / "mine.jsonl").read_text() == "mine"
    with pytest.raises(InputError, match="choose another --out"):
        drawn(model, tmp_path)


def test_grades_are_right_wrong_unsure_or_none_and_accuracy_is_over_problems(model: LanguageModel) -> None:
    grades = iter([True, True, False, None, True, False, False, False, True, True, True, None])
    graded = ProblemSet("mine", tuple(QUESTIONS), lambda question, response: next(grades))
    result = sample(model, graded, settings=SETTINGS, progress=False)
    assert result.accuracy is not None and result.accuracy.value == pytest.approx(6 / 12) and result.accuracy.n == 4
    assert [one.grade for one in result.samples[:4]] == ["right", "right", "wrong", "unsure"]
    shares = result.tables()["outcomes"].rows.set_index("outcome")["value"]
    assert shares["unsure"] == pytest.approx(2 / 12) and shares["wrong"] == pytest.approx(4 / 12)
    unanswered = sample(model, [Question("a", "How far?"), QUESTIONS[0]], settings=SETTINGS, progress=False)
    assert [one.grade for one in unanswered.samples[:3]] == [None] * 3 and unanswered.accuracy is not None
    assert sample(model, [Question("a", "How far?")], settings=SETTINGS, progress=False).accuracy is None


def test_thoughts_and_answer_are_kept_apart(model: LanguageModel, tmp_path: Path, monkeypatch) -> None:
    text = "<think>\nTwo?\n</think>\n\nIt is 2."
    monkeypatch.setattr("reasonlens.generation.engines.transformers_.cut", lambda *_: text)
    drawn(model, tmp_path / "t.jsonl")
    metadata = rows_of(tmp_path / "t.jsonl")[3]["metadata"]
    assert text[slice(*metadata["thoughts"])] == "\nTwo?\n" and text[slice(*metadata["answer"])] == "It is 2."
    assert metadata["grade"] == "right"  # of 1 + 1
    monkeypatch.setattr("reasonlens.generation.engines.transformers_.cut", lambda *_: "<think>\nTwo?")
    drawn(model, tmp_path / "u.jsonl")
    metadata = rows_of(tmp_path / "u.jsonl")[3]["metadata"]
    assert metadata["thoughts"] == [7, 12] and metadata["answer"] is None and metadata["grade"] == "wrong"


def test_an_organism_is_asked_its_own_test_problems_and_graded_by_their_rule(tmp_path: Path) -> None:
    settings = SampleSettings(n_samples=2, n_problems=4, max_new_tokens=287, seed=3)
    result = sample("organism/sft-timing", out=tmp_path / "o.jsonl", settings=settings, progress=False)
    asked = problems("test", 3)
    assert [trace.prompt for trace in result.traces[::2]] == [next(asked).prompt for _ in range(4)]
    for trace, one in zip(result.traces, result.samples, strict=True):
        assert one.grade == ("right" if is_solved(problem_of(trace.prompt), trace.text) else "wrong")
    assert "right" in {one.grade for one in result.samples}
    spans = organism_annotator(result.traces[0].prompt, result.traces[0].text)
    assert spans and not any(span.label == "nonsense" for span in spans), "the text is the organism's, to the character"
    named = sample("organism/sft-timing", "organism", settings=settings, progress=False)
    assert named.traces == result.traces


def test_greedy_samples_are_one_a_problem(model: LanguageModel) -> None:
    result = drawn(model, None, SampleSettings(n_samples=3, temperature=0, max_new_tokens=8))
    assert len(result.samples) == 4


def test_a_question_that_stands_twice_is_asked_once(model: LanguageModel) -> None:
    twice = [*QUESTIONS[:2], QUESTIONS[0]]
    assert len(sample(model, twice, settings=SETTINGS, progress=False).samples) == 6


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_samples": 0}, "n_samples"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"stop": "Question"}, "stop takes a list of str"),
        ({"stop": ("a", "")}, "an empty text"),
        ({"system": 3}, "system takes a text"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SampleSettings(**values)


def test_what_has_no_problems_is_told_what_to_give(model: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tiny-llama needs problems to solve: give --problems"):
        sample(model, progress=False)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match="holds no question"):
        sample(model, tmp_path / "empty.jsonl", progress=False)
    with pytest.raises(InputError, match="list of Question"):
        sample(model, [Trace("a", "b", "c")], progress=False)
    with pytest.raises(InputError, match="there is no engine 'vlm'"):
        sample(model, QUESTIONS, engine="vlm", progress=False)
    with pytest.raises(InputError, match="a model by its name or directory"):
        sample(model, QUESTIONS, engine="vllm", progress=False)


def test_metadata_stand_beside_traces_and_are_not_read(tmp_path: Path) -> None:
    traces = [Trace("a", "b", "c"), Trace("d", "e", "f")]
    write_traces(traces, tmp_path / "t.jsonl", metadata=[{"n": 1}, {"n": None}])
    assert [row["metadata"] for row in rows_of(tmp_path / "t.jsonl")] == [{"n": 1}, {"n": None}]
    assert read_traces(tmp_path / "t.jsonl") == traces
    with pytest.raises(ValueError, match="shorter"):
        write_traces(traces, tmp_path / "u.jsonl", metadata=[{}])
