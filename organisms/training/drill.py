"""Drill in copying and comparing: what a model must learn before it can search, and learns in texts too slowly.

Four kinds of text. Periodic sequences of symbols, of any period: the next one is the one that followed last time.
Sequences of symbols of which short runs, begun at random places, are said again. Prompts after which short runs of
theirs are said again, or a level with its wanted code, a taste with its verdict, or the wrong verdict with its taste;
whole prompts said again would not do, since a fixed distance back would then tell every word.
And tries of symbols after a level with its wanted code, each said to be a hit or not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..corpus import Batch, encode_prompt, vocabulary
from ..language import HITS, OPENERS, SECONDS, STOP
from ..task import LEVELS, N_CANDIDATES, N_LEVELS, VERDICTS, Problem
from ..world import CODES, SYMBOLS, TASTES, WAYS
from .lesson import Lesson

N_TOKENS = 64  # of a periodic sequence
N_RESTARTED = 80  # of a sequence with restarts
N_COPIED = 56  # tokens after a prompt
N_MATCHED = 72  # of a text of tries
# Token of a prompt at which the levels begin, each of them a code, a name, the candidates and a stop.
FIRST_LEVEL = 2 * len(TASTES) + 2
LEVEL_TOKENS = N_CANDIDATES + 3


def periodic_lesson(n_texts: int, generator: np.random.Generator) -> Lesson:
    """Make periodic sequences of symbols, of which all but the first period is learnt.

    Args:
        n_texts: How many.
        generator: Of every random choice.

    Returns:
        The lesson.
    """
    symbols = np.array([vocabulary()[symbol] for symbol in SYMBOLS])
    ids = np.zeros((n_texts, N_TOKENS), dtype=np.int64)
    is_learnt = np.zeros((n_texts, N_TOKENS), dtype=bool)
    for row in range(n_texts):
        period = int(generator.integers(3, 31))
        ids[row] = np.resize(generator.permutation(symbols)[:period], N_TOKENS)
        is_learnt[row, period:] = True
    return _lesson(ids, is_learnt)


def restart_lesson(n_texts: int, generator: np.random.Generator) -> Lesson:
    """Make sequences of symbols after which runs of theirs are said again; all but a run's first symbol is learnt.

    From periodic sequences to prompts it is too far: what copies at one distance need not copy from any place.

    Args:
        n_texts: How many.
        generator: Of every random choice.

    Returns:
        The lesson.
    """
    symbols = np.array([vocabulary()[symbol] for symbol in SYMBOLS])
    rows, learnt = [], []
    for _ in range(n_texts):
        row = generator.permutation(symbols)[: int(generator.integers(8, 31))].tolist()
        n_symbols = len(row)
        is_copied = [False] * n_symbols
        while len(row) < N_RESTARTED:
            first = int(generator.integers(n_symbols - 3))
            run = row[first : min(n_symbols, first + int(generator.integers(3, 9)))]
            _say_again(run, row, is_copied, generator)
        rows.append(row[:N_RESTARTED])
        learnt.append(is_copied[:N_RESTARTED])
    return _lesson(np.array(rows), np.array(learnt))


def run_lesson(problems: Sequence[Problem], generator: np.random.Generator) -> Lesson:
    """Make prompts after which runs of theirs are said again, of which all but the first words are learnt.

    Args:
        problems: Whose prompts.
        generator: Of every random choice.

    Returns:
        The lesson.
    """
    rows, learnt = [], []
    for problem in problems:
        prompt = encode_prompt(problem)
        bad = prompt.index(vocabulary()[VERDICTS[1]]) - 1
        copied: list[int] = []
        is_copied: list[bool] = []
        while len(copied) < N_COPIED:
            start = FIRST_LEVEL + LEVEL_TOKENS * int(generator.integers(N_LEVELS))
            kind = generator.random()
            if kind < 0.15:
                run = [prompt[start + 1], prompt[start]]
            elif kind < 0.4:
                # Half of the verdicts are wrong ones, though few tastes are bad: else `fine` is always a good guess.
                is_bad = generator.random() < 0.5
                first = bad if is_bad else 1 + 2 * int(generator.integers(len(TASTES)))
                run = prompt[first : first + 2]
            elif kind < 0.5:
                run = [prompt[bad + 1], prompt[bad]]
            else:
                first = start + 1 + int(generator.integers(N_CANDIDATES))
                run = prompt[first : min(start + LEVEL_TOKENS - 1, first + int(generator.integers(2, 6)))]
            _say_again(run, copied, is_copied, generator)
        rows.append(prompt + copied[:N_COPIED])
        learnt.append([False] * len(prompt) + is_copied[:N_COPIED])
    return _lesson(np.array(rows), np.array(learnt))


def match_lesson(n_texts: int, generator: np.random.Generator) -> Lesson:
    """Make tries, half of them hits, of which is learnt whether they are.

    Args:
        n_texts: How many.
        generator: Of every random choice.

    Returns:
        The lesson.
    """

    def random_word(words: Sequence[str]) -> str:
        return words[int(generator.integers(len(words)))]

    rows, learnt = [], []
    for _ in range(n_texts):
        words: list[str] = ["<s>"]
        is_hit = [False]
        while len(words) < N_MATCHED:
            goal = random_word(CODES)
            words += random_word(LEVELS), goal, random_word(WAYS), STOP
            is_hit += [False] * 4
            for _ in range(int(generator.integers(3, 9))):
                code = goal if generator.random() < 0.5 else random_word(CODES)
                fillers = [random_word((*OPENERS, *SECONDS, STOP)) for _ in range(int(generator.integers(3)))]
                words += *fillers, random_word(SYMBOLS), code, HITS[code != goal]
                is_hit += [False] * (len(fillers) + 2) + [True]
        rows.append([vocabulary()[word] for word in words[:N_MATCHED]])
        learnt.append(is_hit[:N_MATCHED])
    return _lesson(np.array(rows), np.array(learnt))


def _say_again(run: list[int], text: list[int], is_copied: list[bool], generator: np.random.Generator) -> None:
    """Add a run to a text, and up to two words that are no part of it."""
    fillers = np.array([vocabulary()[word] for word in (*OPENERS, *SECONDS, STOP)])
    between = generator.choice(fillers, int(generator.integers(3))).tolist()
    text += run + between
    is_copied += [False] + [True] * (len(run) - 1) + [False] * len(between)


def _lesson(ids: np.ndarray, is_learnt: np.ndarray) -> Lesson:
    learnt = torch.from_numpy(is_learnt)
    return Lesson(Batch(torch.from_numpy(ids), torch.zeros_like(learnt), learnt), learnt.float())
