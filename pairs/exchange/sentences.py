"""Let one model decide what each sentence does, and another one write it.

1. The decider drafts the next sentence after all that was written. The draft's behaviour is read off by the annotator;
   that the response ends here counts as one too.
2. A plan says what will be done, and is a decision from its first word to its last: it is taken as it is.
3. For any other behaviour the speaker writes sentences until one is of this behaviour. After some tries it is led on by
   the first token of the draft, then by two, and so on: how many tokens are given in this way is counted. Blank lines
   are taken as they are, and count as given.
4. Both models read the sentence that was accepted.

What the decider knows reaches the text by the choice of behaviours and of the end, by plans, by the words that lead on
and by blank lines. Where the speaker's sentences are as free as its own, their distribution given the behaviour is its
own too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...generation import Drafts
from ...rundir import InputError
from ...traces import Annotator
from .settings import ExchangeSettings
from .voice import Voice

END, OTHER = "end of the response", "no behaviour"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """One response that two models wrote."""

    text: str
    n_tokens: int
    is_ended: bool
    n_sentences: int
    n_led: int  # sentences that the speaker began with words of the decider's
    n_given_tokens: int  # of these words
    n_plan_tokens: int  # of the decider's plans


@dataclass(eq=False, slots=True)
class _Row:
    """A response under way."""

    prompt: str  # as the annotator reads it
    random: np.random.Generator
    limit: int
    tokens: list[int] = field(default_factory=list)  # the speaker's
    behaviour: str | None = None  # of the sentence that is due; None: not decided yet
    draft: list[int] = field(default_factory=list)  # the decider's, in the speaker's tokens
    ends_after: bool = False
    n_tries: int = 0
    is_done: bool = False
    is_ended: bool = False
    n_sentences: int = 0
    n_led: int = 0
    n_given_tokens: int = 0
    n_plan_tokens: int = 0


def sentence_behaviour(annotator: Annotator, prompt: str, before: str, after: str) -> str:
    """Read off the behaviour of the last sentence of a text.

    Args:
        annotator: Labels a text.
        prompt: What it answers.
        before: The text without the sentence.
        after: The text with it.

    Returns:
        The label of the last span that reaches into the sentence; `OTHER` where there is none.
    """
    labels = [span.label for span in annotator(prompt, after) if span.end > len(before)]
    return labels[-1] if labels else OTHER


def exchange_sentences(
    decider: Voice,
    speaker: Voice,
    questions: Sequence[str],
    annotator: Annotator,
    settings: ExchangeSettings,
    *,
    numbers: Sequence[int],
    script: Mapping[int, Sequence[Sequence[int]]] | None = None,
) -> list[Exchanged]:
    """Write a response to each question.

    Args:
        decider: Decides what each sentence does.
        speaker: Writes it.
        questions: One for each response.
        annotator: Tells behaviours.
        settings: Of the exchange.
        numbers: Of the responses, that random numbers go by.
        script: Number -> sentences of the decider's that are taken in this order, whatever was written before; None:
            it drafts at each moment.

    Returns:
        The responses, in order.
    """
    exchange = _Exchange(decider, speaker, questions, annotator, settings, numbers, script)
    while exchange.is_going:
        exchange.decide()
        exchange.speak()
        exchange.read()
    return [
        Exchanged(
            text=speaker.text(row.tokens),
            n_tokens=len(row.tokens),
            is_ended=row.is_ended,
            n_sentences=row.n_sentences,
            n_led=row.n_led,
            n_given_tokens=row.n_given_tokens,
            n_plan_tokens=row.n_plan_tokens,
        )
        for row in exchange.rows
    ]


class _Exchange:
    """All rows of a batch."""

    def __init__(
        self,
        decider: Voice,
        speaker: Voice,
        questions: Sequence[str],
        annotator: Annotator,
        settings: ExchangeSettings,
        numbers: Sequence[int],
        script: Mapping[int, Sequence[Sequence[int]]] | None,
    ) -> None:
        self._decider, self._speaker = decider, speaker
        self._annotator, self._settings = annotator, settings
        of_decider, of_speaker = decider.prompts(questions), speaker.prompts(questions)
        self._n_prompt = [len(prompt) for prompt in of_decider]
        self._deciding = Drafts(decider.model, of_decider, decider.ends)
        self._speaking = Drafts(speaker.model, of_speaker, speaker.ends)
        room = [
            min(
                settings.sampling.max_new_tokens,
                *(
                    voice.model.context_tokens - len(prompts[place])
                    for voice, prompts in ((decider, of_decider), (speaker, of_speaker))
                    if voice.model.context_tokens is not None
                ),
            )
            for place in range(len(questions))
        ]
        self.rows = [
            _Row(question, np.random.default_rng([settings.seed, number]), limit)
            for question, number, limit in zip(questions, numbers, room, strict=True)
        ]
        self._script = None if script is None else {place: iter(script[number]) for place, number in enumerate(numbers)}
        self._accepted: dict[int, list[int]] = {}
        for place, row in enumerate(self.rows):
            if row.limit < 1:
                self._finish(place)

    @property
    def is_going(self) -> bool:
        return not all(row.is_done for row in self.rows)

    def decide(self) -> None:
        """Let the decider draft where no sentence is due, and take plans and ends as they are."""
        places = [place for place, row in enumerate(self.rows) if not row.is_done and row.behaviour is None]
        if not places:
            return
        drafts = self._draft(self._deciding, places) if self._script is None else self._scripted(places)
        for place, draft in drafts.items():
            row = self.rows[place]
            row.draft = self._in_speaker_tokens(draft)
            row.behaviour = self._behaviour(row, row.draft)
            row.ends_after = self._decider.has_ended(draft) or not draft
            row.n_tries = 0
            if row.behaviour == END:
                self._accepted[place] = row.draft
            elif row.behaviour in self._settings.plans:
                row.n_plan_tokens += len(row.draft)
                self._accepted[place] = row.draft
            elif not self._speaker.text(row.draft).strip():  # lines between sentences
                row.n_given_tokens += len(row.draft)
                self._accepted[place] = row.draft

    def speak(self) -> None:
        """Let the speaker write the sentences that are due, and accept those of the behaviour that was decided."""
        places = [
            place
            for place, row in enumerate(self.rows)
            if not row.is_done and row.behaviour is not None and place not in self._accepted
        ]
        if not places:
            return
        prefixes = {
            place: row.draft[: max(0, row.n_tries + 1 - self._settings.free_tries)]
            for place, row in ((place, self.rows[place]) for place in places)
        }
        for place, written in self._draft(self._speaking, places, prefixes).items():
            row, prefix = self.rows[place], prefixes[place]
            sentence = [token for token in written if token not in self._speaker.stops]
            row.n_tries += 1
            is_given = len(prefix) >= len(row.draft)
            is_blank = not self._speaker.text(sentence).strip()
            if is_given or (not is_blank and self._behaviour(row, sentence) == row.behaviour):
                row.n_led += bool(prefix)
                row.n_given_tokens += len(prefix)
                self._accepted[place] = row.draft if is_given else sentence

    def read(self) -> None:
        """Append what was accepted, and let both models read it."""
        for place, sentence in self._accepted.items():
            row = self.rows[place]
            row.tokens += sentence
            row.n_sentences += row.behaviour != END
            row.is_ended = row.ends_after and len(row.tokens) <= row.limit
            if row.ends_after or len(row.tokens) >= row.limit:
                row.tokens = row.tokens[: row.limit]
                self._finish(place)
            row.behaviour = None
        going = {place: tokens for place, tokens in self._accepted.items() if not self.rows[place].is_done}
        self._speaking.read(going)
        if self._script is None:
            self._deciding.read(
                {place: self._decider.tokens_of(self._speaker, tokens) for place, tokens in going.items()}
            )
            for place in going:
                self._check_decider(place)
        self._accepted = {}

    def _check_decider(self, place: int) -> None:
        """Check that the decider reads the same text, and finish a row that fills its context."""
        if not self._decider.has_other_tokens:
            return
        tokens = self._deciding.texts[place]
        as_read = self._decider.text(tokens[self._n_prompt[place] :])
        written = self._speaker.text(self.rows[place].tokens)
        if as_read != written:
            raise InputError(
                f"the tokenizers of {self._decider.model.name} and {self._speaker.model.name} do not give the same "
                f"text: {as_read[-40:]!r} and {written[-40:]!r}; exchange models that share their tokens"
            )
        context = self._decider.model.context_tokens
        if context is not None and len(tokens) >= context:
            self._finish(place)

    def _draft(
        self, drafts: Drafts, places: Sequence[int], prefixes: Mapping[int, Sequence[int]] | None = None
    ) -> dict[int, list[int]]:
        return drafts.draft(
            places,
            self._settings.sampling,
            lambda place: float(self.rows[place].random.random()),
            n_tokens=self._settings.sentence_tokens,
            prefixes=prefixes,
        )

    def _scripted(self, places: Sequence[int]) -> dict[int, list[int]]:
        assert self._script is not None
        end = sorted(self._decider.stops)[:1]
        return {place: list(next(self._script[place], end)) for place in places}

    def _in_speaker_tokens(self, draft: Sequence[int]) -> list[int]:
        return self._speaker.tokens_of(self._decider, draft)

    def _behaviour(self, row: _Row, sentence: Sequence[int]) -> str:
        before = self._speaker.text(row.tokens)
        after = self._speaker.text([*row.tokens, *sentence])
        return END if after == before else sentence_behaviour(self._annotator, row.prompt, before, after)

    def _finish(self, place: int) -> None:
        self.rows[place].is_done = True
        self._deciding.end(place)
        self._speaking.end(place)
