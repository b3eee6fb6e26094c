"""The cells of an exchange: who decides what a sentence does, and who writes it.

    cell            decides     writes
    base            base        base        alone, token by token
    when            thinking    base
    how             base        thinking
    thinking        thinking    thinking    alone, token by token
    other moments   thinking    base        the behaviours of one of its own responses, in random order: a control
    itself          thinking    thinking    by the same exchange: a control

If training taught *when*, `when` is as good as `thinking` and `how` as poor as `base`; if it taught *how*, the reverse.
The first control draws on the same behaviours, so what it recovers is not a matter of moments. What the second one
solves less than the thinking model alone is lost by the exchange.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...generation import Vocabulary, generate
from ...rundir import RunDirectory, brief, columns_of, from_row, to_row
from ...rundir.progress import ProgressBar
from ...traces.questions import Question
from ..pair import Pair
from .sentences import Exchanged, exchange_sentences
from .settings import ExchangeSettings
from .voice import Voice

logger = logging.getLogger(__name__)

KEY = "response"  # number of a response: that of its question, times the samples of the cell, plus that of the sample
BASE, WHEN, HOW, THINKING, CONTROL, ITSELF = "base", "when", "how", "thinking", "other moments", "itself"
EXCHANGED = (WHEN, HOW, CONTROL, ITSELF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response of a cell, and its grade; what is counted of sentences is 0 where a model writes alone."""

    text: str
    tokens: tuple[int, ...]  # of a model that writes alone
    n_tokens: int
    is_solved: bool | None  # None: cannot be told
    is_truncated: bool
    n_sentences: int
    n_led: int
    n_given_tokens: int
    n_plan_tokens: int

    __repr__ = brief


def run_cells(
    pair: Pair, settings: ExchangeSettings, directory: RunDirectory, progress: bool
) -> dict[str, list[Answer]]:
    """Let both models answer the test problems, alone and together.

    Args:
        pair: The models and problems.
        settings: How sentences are exchanged.
        directory: Keeps `cells/NAME.jsonl`, a row for each response, batch by batch.
        progress: Whether bars are shown.

    Returns:
        Cell -> its responses: those of a question side by side, questions in order.

    Raises:
        InputError: A prompt opens thoughts, or the models' tokenizers do not give the same text.
    """
    base, thinking = Voice.both(pair)
    for voice in (base, thinking):
        voice.prompts([pair.test[0].prompt])  # what is refused is refused before anything is written
    run = _Cells(pair, settings, directory, progress)
    answers = {BASE: run.alone(BASE, base), THINKING: run.alone(THINKING, thinking)}
    answers[WHEN] = run.together(WHEN, thinking, base)
    answers[HOW] = run.together(HOW, base, thinking)
    if settings.plans and not any(answer.n_plan_tokens for answer in answers[WHEN]):
        logger.warning(
            f"{pair.name}: no sentence is a plan ({', '.join(settings.plans)}), so that plans are written by who "
            "writes: name the behaviours of this labeller that are plans, or none"
        )
    if settings.has_controls:
        answers[CONTROL] = run.together(CONTROL, thinking, base, answers[THINKING])
        answers[ITSELF] = run.together(ITSELF, thinking, thinking)
    return answers


@dataclass(frozen=True, eq=False)
class _Cells:
    pair: Pair
    settings: ExchangeSettings
    directory: RunDirectory
    progress: bool

    def alone(self, name: str, voice: Voice) -> list[Answer]:
        """Let a model write by itself."""
        settings = self.settings

        def write(questions: Sequence[Question], numbers: Sequence[int]) -> list[Answer]:
            prompts = voice.prompts([question.prompt for question in questions])
            written = generate(
                voice.model,
                prompts,
                settings.sampling,
                seed=settings.seed,
                n_rows=settings.n_rows,
                numbers=numbers,
                vocabulary=Vocabulary(n_tokens=None, ends=tuple(sorted(voice.stops))),  # as in an exchange
            )
            return [
                self._answer(question, voice.text(tokens), len(tokens), voice.has_ended(tokens), tokens)
                for question, tokens in zip(questions, written, strict=True)
            ]

        return self._once(name, write, settings.sampling.n_samples * settings.n_alone)

    def together(
        self, name: str, decider: Voice, speaker: Voice, shuffled: Sequence[Answer] | None = None
    ) -> list[Answer]:
        """Let a model decide and the other one write; or write what one has decided elsewhere, in random order."""
        settings = self.settings
        n_samples = settings.sampling.n_samples

        def write(questions: Sequence[Question], numbers: Sequence[int]) -> list[Answer]:
            script = None
            if shuffled is not None:
                alone = {
                    number: number + number // n_samples * n_samples * (settings.n_alone - 1) for number in numbers
                }
                script = {
                    number: _in_random_order(shuffled[alone[number]].tokens, decider, settings.seed, number)
                    for number in numbers
                }
            written = exchange_sentences(
                decider,
                speaker,
                [question.prompt for question in questions],
                self.pair.annotator,
                settings,
                numbers=numbers,
                script=script,
            )
            return [
                self._answer(question, exchanged.text, exchanged.n_tokens, exchanged.is_ended, (), exchanged)
                for question, exchanged in zip(questions, written, strict=True)
            ]

        return self._once(name, write, n_samples)

    def _answer(
        self,
        question: Question,
        text: str,
        n_tokens: int,
        is_ended: bool,
        tokens: Sequence[int],
        exchanged: Exchanged | None = None,
    ) -> Answer:
        limit = self.pair.limit_tokens
        counted = ("n_sentences", "n_led", "n_given_tokens", "n_plan_tokens")
        return Answer(
            text=text,
            tokens=tuple(tokens),
            n_tokens=n_tokens,
            is_solved=self.pair.grader(question, text) if is_ended or limit is None else False,
            is_truncated=not is_ended and (limit is None or n_tokens <= limit),
            **{name: 0 if exchanged is None else getattr(exchanged, name) for name in counted},
        )

    def _once(
        self, name: str, write: Callable[[Sequence[Question], Sequence[int]], list[Answer]], n_samples: int
    ) -> list[Answer]:
        """Complete the log of a cell, `n_rows` responses at a time."""
        pair, settings = self.pair, self.settings
        n_responses = len(pair.test) * n_samples
        log = self.directory.log(
            f"cells/{name.replace(' ', '-')}.jsonl",
            about={"pair": pair.name, "cell": name, "problems": pair.digest},
            key=KEY,
            columns={KEY: int, **columns_of(Answer)},
        )
        n_known = n_responses - len(log.missing(range(n_responses)))
        with ProgressBar(
            desc=f"{pair.name}: {name}", unit="response", total=n_responses, initial=n_known, progress=self.progress
        ) as bar:
            for start in range(0, n_responses, settings.n_rows):
                numbers = range(start, min(start + settings.n_rows, n_responses))
                missing = set(log.missing(numbers))
                if missing:
                    answers = write([pair.test[number // n_samples] for number in numbers], numbers)
                    log.add(
                        [
                            {KEY: number} | to_row(answer)
                            for number, answer in zip(numbers, answers, strict=True)
                            if number in missing
                        ]
                    )
                    bar.update(len(missing))
        return [_restored(log[number]) for number in range(n_responses)]


def _restored(row: Mapping[str, Any]) -> Answer:
    return from_row(Answer, row)


def _in_random_order(tokens: Sequence[int], voice: Voice, seed: int, number: int) -> list[list[int]]:
    """Cut a response into its sentences and shuffle them; its end stays last."""
    sentences: list[list[int]] = [[]]
    for token in tokens:
        if token not in voice.stops:
            sentences[-1].append(token)
            if voice.ends[token]:
                sentences.append([])
    order = np.random.default_rng([seed, number, 1]).permutation(len(sentences))
    return [sentences[place] for place in order if sentences[place]]
