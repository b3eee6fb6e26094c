"""How often a guesser with a model's own words solves a problem, measured where that is one response in ten thousand.

Most guesses are lost at the first level, and plain sampling would see no success in a thousand responses. So responses
are weighted and split (Kahn & Harris 1951), the rows of an island being written side by side:

- Where a model accepts, only the target keeps a response alive: it is put there, and the row weighs less by the
  probability that the model gives to it.
- A guesser's draws are tilted towards those that keep a response alive (an acceptance of the target), and the row
  weighs less by as much.
- Once half of the rows or fewer are not lost, these are copied until the island is full again, and weigh less by as
  much.

    P(solved) = mean over islands of sum(w of rows solved) / rows of an island

is unbiased, however rare success is. Islands are independent, and the interval is over them. A response counts as
solved with its answer, whether or not the end of the text follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import islice
from math import nan

import numpy as np
import torch
from scipy.stats import t
from transformers import LlamaForCausalLM

from ...generation import Sampling, choose_tokens
from ...stats import Interval
from ..corpus import encode_prompt, vocabulary, words_of
from ..decoder import Decoder
from ..language import ARGUMENTS, MOVE_OF, NONE, SPECIAL, STOP, WORDINGS, Move, parse
from ..machine import Machine
from ..task import MAX_RESPONSE_TOKENS, N_LEVELS, VERDICTS, Problem, problems
from ..world import CODES, TASTES, WAYS, Way
from .chance import Guesser

# Draws what is said of a move, in the state that the machine is in; the way of a plan is the decider's.
Speaker = Callable[[Machine, Move, np.random.Generator], tuple[str, ...]]

LONGEST = 3 + max(map(len, ARGUMENTS.values()))  # words of a sentence
ACCEPTING = [list(wording) for wording in WORDINGS["accept"]]
TILT = 100.0  # by how much a guess that keeps a response alive is drawn more often
N_ROWS = 192  # of an island
FEWER = 0.5  # rows are drawn anew once this share or less of them is at work
N_ISLANDS = 4


def random_words(machine: Machine, move: Move, generator: np.random.Generator) -> tuple[str, ...]:
    """Say a move with what must be looked up in the weights drawn at random: codes and tastes; what is copied is right.

    Args:
        machine: Before the sentence.
        move: What is said.
        generator: Of the draw.

    Returns:
        The arguments.
    """
    right = machine.content(move)
    if not right or NONE in right:
        return right
    if move == "try":
        return machine.tried(right[0], CODES[int(generator.integers(len(CODES)))])
    if move == "check":
        taste = TASTES[int(generator.integers(len(TASTES)))]
        return taste, VERDICTS[taste == machine.problem.bad]
    return right


def guessing_success(
    model: LlamaForCausalLM,
    guesser: Guesser | None = None,
    speaker: Speaker | None = None,
    *,
    n_islands: int = N_ISLANDS,
    n_rows: int = N_ROWS,
    seed: int = 0,
) -> Interval:
    """Estimate how often a guesser solves an unseen problem.

    Args:
        model: Who decides where there is no guesser, and speaks where there is no speaker.
        guesser: Who decides, blind; None: the model.
        speaker: Who says all other words; None: the model.
        n_islands: Independent estimates.
        n_rows: Responses of each, to problems of their own.
        seed: Of problems and draws.

    Returns:
        The mean over problems; n counts the islands. Where no row of any island is solved, the value is 0, and the
        upper end the rate at which that happens in 5% of experiments (unknown, NaN, for a guesser: see its exact rate).
    """
    stream = problems("test", seed)
    islands = [
        _Island(model, list(islice(stream, n_rows)), guesser, speaker, np.random.default_rng([seed, number]))
        for number in range(n_islands)
    ]
    weights = [island.run() for island in islands]
    rates = np.array([island.solved_weight / n_rows for island in islands])
    if not rates.any():
        # The rule of three holds for equal weights; a guesser's rows have others, and its upper end is not known.
        high = nan if guesser is not None else 3.0 * float(np.mean(weights)) / (n_islands * n_rows)
        return Interval(0.0, 0.0, high, n_islands)
    mean = float(rates.mean())
    if n_islands < 2:
        return Interval(mean, n=n_islands)
    half = float(t.ppf(0.975, n_islands - 1)) * float(rates.std(ddof=1)) / n_islands**0.5
    return Interval(mean, max(0.0, mean - half), mean + half, n_islands)


@dataclass(slots=True)
class _Row:
    """One response under way."""

    machine: Machine
    history: list[Move] = field(default_factory=list)
    sentence: list[str] = field(default_factory=list)
    planned: list[str | None] = field(default_factory=list)  # words to come that are set; None: the model says it
    n_words: int = 0
    last: str = ""
    weight: float = 1.0
    is_lost: bool = False

    def copied(self, weight: float) -> _Row:
        machine = copy(self.machine)
        machine.accepted = [*machine.accepted]
        return replace(
            self,
            machine=machine,
            history=[*self.history],
            sentence=[*self.sentence],
            planned=[*self.planned],
            weight=float(weight),
        )

    @property
    def is_solved(self) -> bool:
        return self.machine.is_solved and not self.is_lost

    @property
    def is_over(self) -> bool:
        return self.is_lost or self.machine.is_solved

    @property
    def target(self) -> str | None:
        """The one word that keeps the response alive, where it is about to accept."""
        level = self.machine.level
        is_accepting = self.sentence[:2] in ACCEPTING and len(self.sentence) == 1 + len(ARGUMENTS["accept"])
        return self.machine.problem.targets[level] if is_accepting and level < N_LEVELS else None

    def read(self, word: str) -> None:
        """Go on from a word; a level accepted wrongly, an early end or a sentence that is none lose the response."""
        self.last = word
        self.sentence.append(word)
        self.n_words += 1
        if self.n_words > MAX_RESPONSE_TOKENS or word in SPECIAL or len(self.sentence) > LONGEST:
            self.is_lost = True
        if word != STOP or self.is_lost:
            return
        parsed = parse(self.sentence)
        self.sentence = []
        if parsed is None:
            self.is_lost = True
            return
        self.machine.advance(*parsed)
        accepted, targets = self.machine.accepted, self.machine.problem.targets
        is_right = tuple(accepted) == targets[: len(accepted)]
        self.is_lost = not is_right or (self.machine.is_done and not self.machine.is_solved)


class _Island:
    def __init__(
        self,
        model: LlamaForCausalLM,
        problems: list[Problem],
        guesser: Guesser | None,
        speaker: Speaker | None,
        generator: np.random.Generator,
    ) -> None:
        self.model, self.guesser, self.speaker, self.generator = model, guesser, speaker, generator
        self.rows = [_Row(Machine(problem)) for problem in problems]
        self.n_rows = len(problems)
        self.solved_weight = 0.0

    @torch.inference_mode()
    def run(self) -> float:
        """Write all rows; return the mean weight of those that go on at the end."""
        prompts = torch.tensor([encode_prompt(row.machine.problem) for row in self.rows])
        sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=MAX_RESPONSE_TOKENS)
        decoder = Decoder(self.model, prompts, prompts.shape[1] + MAX_RESPONSE_TOKENS)
        ids, words = vocabulary(), words_of()
        for step in range(MAX_RESPONSE_TOKENS):
            uniforms = torch.from_numpy(self.generator.random(len(self.rows))).float()
            logits = decoder.logits
            for row, token, scores in zip(
                self.rows, choose_tokens(logits, sampling, uniforms).tolist(), logits, strict=True
            ):
                if row.is_over:
                    continue
                word = self._next(row)
                if word is None and (target := row.target) is not None:
                    word = target
                    row.weight *= float(scores.softmax(-1)[ids[target]])
                row.read(word or words[token])
                self.solved_weight += row.weight * row.is_solved
            going = [number for number, row in enumerate(self.rows) if not row.is_over]
            if not going or step + 1 == MAX_RESPONSE_TOKENS:
                break
            decoder.extend(torch.tensor([ids[row.last] for row in self.rows]))
            if len(going) <= FEWER * self.n_rows:
                share = len(going) / self.n_rows
                copies = [going[number] for number in self._spread(len(going))]
                decoder.select(torch.tensor(copies))
                self.rows = [self.rows[number].copied(self.rows[number].weight * share) for number in copies]
        return float(np.mean([row.weight for row in self.rows if not row.is_solved] or [0.0]))

    def _spread(self, n_going: int) -> list[int]:
        """Copy the rows that go on equally often, and some of them once more, until the island is full."""
        n_times, n_more = divmod(self.n_rows, n_going)
        once_more = set(self.generator.choice(n_going, n_more, replace=False).tolist())
        return [number for number in range(n_going) for _ in range(n_times + (number in once_more))]

    def _guess(self, row: _Row, chances: Mapping[Move, float]) -> Move:
        """Draw a move, those that keep the response alive more often, and weigh the row by how much more often."""
        level, targets = row.machine.level, row.machine.problem.targets
        is_complete = level >= N_LEVELS
        factors = dict.fromkeys(chances, 1.0)
        factors["answer"] = TILT if is_complete else 0.0  # an early answer solves nothing
        factors["accept"] = 1.0 if is_complete else TILT if row.machine.held == targets[level] else 1 / TILT
        tilted = {move: chance * factors[move] for move, chance in chances.items() if chance * factors[move] > 0}
        if not tilted:
            row.is_lost = True
            return "answer"
        moves, total = list(tilted), sum(tilted.values())
        move = moves[int(self.generator.choice(len(moves), p=[tilted[move] / total for move in moves]))]
        row.weight *= chances[move] * total / tilted[move]
        return move

    def _next(self, row: _Row) -> str | None:
        """Say the next word of a row where it is not the model's."""
        place = len(row.sentence)
        if place == 0:
            row.planned = []
            if self.guesser is not None:
                move = self._guess(row, self.guesser(row.history))
                row.history.append(move)
                wordings = WORDINGS[move]
                opening = wordings[int(self.generator.integers(len(wordings)))]
                way: Way = WAYS[int(self.generator.integers(len(WAYS)))]
                row.planned = [*opening, None, None, *([way] if move == "plan" else [None])]
        if place == 2 and self.speaker is not None:
            move_said = MOVE_OF.get((row.sentence[0], row.sentence[1]))
            if move_said is not None:
                arguments: list[str | None] = [*self.speaker(row.machine, move_said, self.generator)]
                if move_said == "plan":
                    arguments[2] = row.planned[4] if len(row.planned) > 4 else None
                row.planned = [None, None, *arguments, STOP]
        return row.planned[place] if place < len(row.planned) else None
