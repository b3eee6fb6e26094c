"""Organisms made of rules: their next words follow habits and skill exactly, so the truth of a pair is planted."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from itertools import chain
from math import log
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reasonlens.organisms.corpus import encode_prompt, vocabulary, words_of
from reasonlens.organisms.language import ARGUMENTS, MOVE_OF, NONE, OPENERS, SECONDS, STOP, parse
from reasonlens.organisms.machine import Machine
from reasonlens.organisms.policy import Habits
from reasonlens.organisms.task import VERDICTS, Problem, Split, problems
from reasonlens.organisms.world import CODE_OF, CODES, WAYS, WEAK

END = "</s>"
GARBLE = VERDICTS[0]  # begins the arguments of no move


@dataclass(frozen=True)
class RuleModel:
    """Habits and skill; takes token ids of prompts with responses and gives the logits of the next word."""

    habits: Habits
    weak_hue: float = 1.0  # probability that the hue of a weak symbol is said rightly
    verdict: float = 1.0  # that a verdict is
    garbled: float = 0.0  # that the word after an opening is one which no sentence has

    def __call__(self, ids: Tensor, use_cache: bool = False) -> Any:
        logits = np.full((*ids.shape, len(words_of())), -30.0, dtype=np.float32)
        for row, tokens in enumerate(ids.tolist()):
            words = [words_of()[token] for token in tokens]
            n_prompt = len(encode_prompt(next(problems("test", 0))))
            writer = _Row(self, _problem_of(words[:n_prompt]))
            for place in range(n_prompt, len(words) + 1):
                _fill(logits[row, place - 1], writer.chances())
                if place < len(words):
                    writer.read(words[place])
        return SimpleNamespace(logits=torch.from_numpy(logits))


class RuleDecoder:
    """Stands in the place of `Decoder` for models made of rules."""

    def __init__(self, model: RuleModel, prompts: Tensor, n_tokens: int) -> None:
        self._rows = [_Row(model, _problem_of([words_of()[token] for token in row])) for row in prompts.tolist()]

    @property
    def logits(self) -> Tensor:
        logits = np.full((len(self._rows), len(words_of())), -30.0, dtype=np.float32)
        for row, writer in enumerate(self._rows):
            _fill(logits[row], writer.chances())
        return torch.from_numpy(logits)

    def extend(self, tokens: Tensor) -> None:
        for writer, token in zip(self._rows, tokens.tolist(), strict=True):
            writer.read(words_of()[token])

    def select(self, rows: Tensor) -> None:
        self._rows = [self._rows[row].copy() for row in rows.tolist()]


class _Row:
    def __init__(self, model: RuleModel, problem: Problem) -> None:
        self.model, self.machine = model, Machine(problem)
        self.sentence: list[str] = []
        self.is_over = False

    def copy(self) -> _Row:
        other = _Row(self.model, self.machine.problem)
        other.machine, other.sentence, other.is_over = copy(self.machine), [*self.sentence], self.is_over
        other.machine.accepted = [*self.machine.accepted]
        return other

    def read(self, word: str) -> None:
        self.sentence.append(word)
        self.is_over |= word == END
        if word == STOP and not self.is_over:
            parsed = parse(self.sentence)
            self.is_over = parsed is None
            if parsed is not None:
                self.machine.advance(*parsed)
            self.sentence = []

    def chances(self) -> dict[str, float]:
        """Probabilities of the next word, those of what cannot follow left out."""
        machine, habits, said = self.machine, self.model.habits, self.sentence
        if self.is_over or machine.is_done:
            return {END: 1.0}
        if not said:
            return dict.fromkeys(OPENERS, 1 / 8)
        if len(said) == 1:
            rates = habits.moves[machine.state]
            return {second: rates.get(MOVE_OF[said[0], second], 0.0) for second in SECONDS}
        move = MOVE_OF.get((said[0], said[1]))
        if move is None:
            return {END: 1.0}
        garbled = self.model.garbled if len(said) == 2 else 0.0
        chances = {word: (1 - garbled) * chance for word, chance in self._argument(move, said[2:]).items()}
        return chances | ({GARBLE: garbled} if garbled else {})

    def _argument(self, move: str, arguments: Sequence[str]) -> dict[str, float]:
        machine, place = self.machine, len(arguments)
        right = machine.content(move)
        if place >= len(ARGUMENTS[move]) or arguments[:1] == [GARBLE]:
            return {STOP: 1.0}
        if move == "plan" and place == 2:
            last = machine.last_way or WAYS[0]
            chance = self.model.habits.hue[machine.way_context]
            return {last: chance, WAYS[1 - WAYS.index(last)]: 1 - chance}
        if move == "try" and place == 1 and arguments[0] != NONE:
            code = CODE_OF[machine.way][arguments[0]]
            chance = self.model.weak_hue if machine.way == "hue" and arguments[0] in WEAK else 1.0
            return {other: chance if other == code else (1 - chance) / 7 for other in CODES}
        if move == "try" and place == 2 and arguments[0] != NONE:
            return {machine.tried(arguments[0], arguments[1])[2]: 1.0}
        if move == "check" and place == 1 and right[1] != NONE:
            return {word: self.model.verdict if word == right[1] else 1 - self.model.verdict for word in VERDICTS}
        return {right[place]: 1.0}


def _fill(logits: np.ndarray, chances: dict[str, float]) -> None:
    for word, chance in chances.items():
        if chance > 0:
            logits[vocabulary()[word]] = log(chance)


SPLITS: tuple[Split, ...] = ("test", "validation")
_STREAM = chain.from_iterable(zip(*(problems(split, 0, way) for split in SPLITS for way in (None, *WAYS)), strict=True))
_BY_PROMPT: dict[str, Problem] = {}


def _problem_of(words: Sequence[str]) -> Problem:
    """Look a prompt up among the problems of seed 0, of either way, of which all tests draw."""
    prompt = " ".join(words[1:])
    while prompt not in _BY_PROMPT:
        problem = next(_STREAM)
        _BY_PROMPT[problem.prompt] = problem
    return _BY_PROMPT[prompt]
