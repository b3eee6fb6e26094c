"""Sentences exchanged between organisms made of rules, where it is planted who lacks what; and how they are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from torch import Tensor

from reasonlens.generation import Drafts, Sampling
from reasonlens.models import LanguageModel, load, wrap
from reasonlens.organisms.annotator import organism_annotator
from reasonlens.organisms.corpus import vocabulary, words_of
from reasonlens.organisms.labeller import is_solved
from reasonlens.organisms.policy import IDEAL, mixed
from reasonlens.organisms.task import problems
from reasonlens.pairs.exchange import sentences as module
from reasonlens.pairs.exchange.sentences import Exchanged, exchange_sentences, sentence_behaviour
from reasonlens.pairs.exchange.settings import ExchangeSettings
from reasonlens.pairs.exchange.voice import Voice
from reasonlens.traces import Span
from tests.organisms.rules import RuleModel, _problem_of, _Row

N = 60
PROBLEMS = list(islice(problems("test", 0), N))
SETTINGS = ExchangeSettings(n_rows=N)
RULES = {
    "ideal": RuleModel(IDEAL),
    "untimely": RuleModel(mixed(0.6)),
    "unskilled": RuleModel(IDEAL, weak_hue=0.5),
    "both": RuleModel(mixed(0.4), weak_hue=0.5),
}


class RuleDrafts:
    """Stands in the place of `Drafts` for models made of rules."""

    def __init__(self, model: LanguageModel, texts: Sequence[Sequence[int]], ends: Tensor) -> None:
        self._rows = [_Row(RULES[model.name], _problem_of([words_of()[token] for token in text])) for text in texts]
        self._ends = ends

    def end(self, row: int) -> None:
        pass

    def read(self, sentences: Mapping[int, Sequence[int]]) -> None:
        for row, tokens in sentences.items():
            for token in tokens:
                self._rows[row].read(words_of()[token])

    def draft(
        self,
        rows: Sequence[int],
        sampling: Sampling,
        uniform: Callable[[int], float],
        *,
        n_tokens: int,
        prefixes: Mapping[int, Sequence[int]] | None = None,
    ) -> dict[int, list[int]]:
        return {row: self._one(row, uniform, n_tokens, list((prefixes or {}).get(row, ()))) for row in rows}

    def _one(self, row: int, uniform: Callable[[int], float], n_tokens: int, prefix: list[int]) -> list[int]:
        writer, draft = self._rows[row].copy(), []
        writer.sentence = []
        while len(draft) < n_tokens and not (draft and self._ends[draft[-1]]):
            words, chances = zip(*writer.chances().items(), strict=True)
            place = int(np.searchsorted(np.cumsum(chances), uniform(row) * sum(chances), side="right"))
            token = vocabulary()[words[min(place, len(words) - 1)]]
            draft.append(prefix[len(draft)] if len(draft) < len(prefix) else token)
            writer.read(words_of()[draft[-1]])
        return draft


def voice(name: str) -> Voice:
    organism = load("organism/base-none", device="cpu")
    model = wrap(organism.model, organism.tokenizer, name=name)
    return Voice.of(model, "auto", model)


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Drafts", RuleDrafts)


def written(decider: str, speaker: str, settings: ExchangeSettings = SETTINGS, n: int = N) -> list[Exchanged]:
    questions = [problem.prompt for problem in PROBLEMS[:n]]
    return exchange_sentences(voice(decider), voice(speaker), questions, organism_annotator, settings, numbers=range(n))


def accuracy(responses: Sequence[Exchanged]) -> float:
    pairs = zip(PROBLEMS, responses, strict=False)
    return float(np.mean([is_solved(problem, response.text) for problem, response in pairs]))


def test_what_is_planted_as_timing_goes_with_the_decider_and_skill_with_the_speaker() -> None:
    ideal, untimely, unskilled = (accuracy(written(name, name)) for name in ("ideal", "untimely", "unskilled"))
    assert ideal > 0.75 > untimely + 0.3 and ideal > unskilled + 0.3
    assert accuracy(written("ideal", "untimely")) == pytest.approx(ideal, abs=0.1)
    assert accuracy(written("untimely", "ideal")) == pytest.approx(untimely, abs=0.1)
    assert accuracy(written("ideal", "unskilled")) == pytest.approx(unskilled, abs=0.12)
    assert accuracy(written("unskilled", "ideal")) == pytest.approx(ideal, abs=0.12)


def test_responses_have_the_behaviours_of_the_decider_and_the_steps_of_the_speaker() -> None:
    def rates(responses: Sequence[Exchanged]) -> dict[str, float]:
        labels = Counter(
            span.label
            for problem, response in zip(PROBLEMS, responses, strict=True)
            for span in organism_annotator(problem.prompt, response.text)
        )
        return {label: count / labels.total() for label, count in labels.items()}

    alone, together = rates(written("untimely", "untimely")), rates(written("untimely", "ideal"))
    for label in ("verification", "uncertainty-estimation", "backtracking"):
        assert together[label] == pytest.approx(alone[label], abs=0.04), label


def test_plans_are_the_deciders_and_without_them_the_way_is_the_speakers() -> None:
    with_plans = written("ideal", "untimely")
    assert all(response.n_plan_tokens % 6 == 0 and response.n_plan_tokens > 0 for response in with_plans)
    without = written("ideal", "untimely", ExchangeSettings(plans=(), n_rows=N))
    assert not any(response.n_plan_tokens for response in without)
    assert accuracy(without) < accuracy(with_plans) - 0.1


def test_a_speaker_is_led_on_only_after_its_free_tries_and_no_further_than_it_takes() -> None:
    never = written("ideal", "untimely", ExchangeSettings(free_tries=10_000, n_rows=N))
    assert not any(response.n_led or response.n_given_tokens for response in never)
    at_once = written("ideal", "untimely", ExchangeSettings(free_tries=0, n_rows=N), n=20)
    for response in at_once:
        # All but plans; of a wording one word seldom tells the behaviour, both do.
        assert response.n_led == response.n_sentences - response.n_plan_tokens // 6
        assert response.n_led <= response.n_given_tokens <= 2 * response.n_led
    some = written("ideal", "untimely")
    assert 0 < sum(one.n_led for one in some) < 0.2 * sum(one.n_sentences for one in some)


def test_a_response_depends_on_its_number_and_not_on_the_others() -> None:
    together = written("both", "ideal", n=8)
    questions = [problem.prompt for problem in PROBLEMS[:8]]
    for place in (0, 5):
        (alone,) = exchange_sentences(
            voice("both"), voice("ideal"), [questions[place]], organism_annotator, SETTINGS, numbers=[place]
        )
        assert alone == together[place]


def test_a_response_is_cut_at_its_limit_and_has_then_no_end() -> None:
    short = ExchangeSettings(n_rows=N, sampling=Sampling(temperature=1.0, top_p=1.0, max_new_tokens=20))
    for response in written("ideal", "ideal", short, n=6):
        assert response.n_tokens == 20 and not response.is_ended and len(response.text.split()) == 20


def test_a_script_is_written_in_its_order_whatever_was_said_before() -> None:
    ids = vocabulary()
    lines = ["now look sour .", "right see corn 7 miss .", "okay here ."]
    script = {0: [[ids[word] for word in line.split()] for line in lines]}
    (response,) = exchange_sentences(
        voice("ideal"),
        voice("ideal"),
        [PROBLEMS[0].prompt],
        organism_annotator,
        ExchangeSettings(free_tries=10_000),
        numbers=[0],
        script=script,
    )
    labels = [span.label for span in organism_annotator(PROBLEMS[0].prompt, response.text)]
    expected = [span.label for span in organism_annotator(PROBLEMS[0].prompt, " ".join(lines))]
    assert labels == expected and response.n_sentences == 3 and response.is_ended


def test_blank_lines_of_the_decider_are_taken_and_counted(
    tiny: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny()
    model.model.generation_config.eos_token_id = None
    decider = Voice.of(model, "plain", model)
    (line_break,) = model.tokenizer("\n", add_special_tokens=False)["input_ids"]
    settings = ExchangeSettings(sampling=Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8))
    monkeypatch.setattr(module, "Drafts", Drafts)
    (response,) = exchange_sentences(
        decider,
        decider,
        ["Is it?"],
        lambda prompt, text: [],
        settings,
        numbers=[0],
        script={0: [[line_break], [line_break, line_break]]},
    )
    assert response.text == "\n\n\n" and response.n_given_tokens == 3 and response.is_ended and not response.n_led


def test_a_script_ends_a_response_of_a_model_that_has_no_end(
    tiny: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny()
    speaker = replace(Voice.of(model, "plain", model), stops=frozenset())
    monkeypatch.setattr(module, "Drafts", Drafts)
    settings = ExchangeSettings(free_tries=0, sentence_tokens=4)
    (response,) = exchange_sentences(
        speaker, speaker, ["Is it?"], lambda prompt, text: [], settings, numbers=[0], script={0: [[40, 41]]}
    )
    assert response.is_ended and response.n_sentences == 1


def test_a_behaviour_is_that_of_the_last_span_that_reaches_into_the_sentence() -> None:
    def annotator(prompt: str, text: str) -> list[Span]:
        return [Span(0, 4, "one"), Span(5, 9, "two"), Span(10, 14, "three")][: text.count(".")]

    assert sentence_behaviour(annotator, "p", "One.", "One. Two.") == "two"
    assert sentence_behaviour(annotator, "p", "", "One. Two.") == "two"
    assert sentence_behaviour(annotator, "p", "One. Two.", "One. Two. and") == module.OTHER
