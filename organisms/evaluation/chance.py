"""What guessers reach that know no timing, in closed form; and pass@k at rates far below one in all samples.

A *blind* guesser draws its moves from what it did before, never from what was said. Targets stand at each of the six
places alike and independently, so what it holds is the target with probability 1/6 at each level, whatever its moves,
and even with every word right

    P(solved) = (1/6)^5 P(five times it accepts while something is held, then answers, within the limit) <= (1/6)^5

which is the rate of a uniform guess over answers. With words of its own (`guessing`) a model may do worse, or better if
it lets slip what it should not know.

    pass@k <= 1 - (1 - mean P)^k

with equality where all problems are alike (Jensen); this end is what is reported as chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...rundir import brief
from ...stats import Interval
from ..language import ARGUMENTS, MOVES, Move
from ..task import MAX_RESPONSE_TOKENS, N_CANDIDATES, N_LEVELS

PASS_AT: tuple[int, ...] = (1, 4, 16, 64, 256)
UNIFORM = float(N_CANDIDATES) ** -N_LEVELS  # success of a uniform guess over answers

# Gives probabilities of the next move, from the moves made so far alone.
Guesser = Callable[[Sequence[Move]], Mapping[Move, float]]

# The best rates of moves drawn independently of anything, by search over `rates_success`: nothing but these is of use.
BEST_RATES: Mapping[Move, float] = {"try": 0.78, "accept": 0.195, "answer": 0.025}


def random_moves(history: Sequence[Move]) -> Mapping[Move, float]:
    """Draw any move, uniformly.

    Args:
        history: Moves made so far; of no account.

    Returns:
        Probabilities of the next move.
    """
    return dict.fromkeys(MOVES, 1 / len(MOVES))


def best_rates(history: Sequence[Move]) -> Mapping[Move, float]:
    """Draw a move by `BEST_RATES`.

    Args:
        history: Moves made so far; of no account.

    Returns:
        Probabilities of the next move.
    """
    return BEST_RATES


def known_order(history: Sequence[Move]) -> Mapping[Move, float]:
    """Keep to the order of the grammar, blind to what is said: at each level a candidate at random is accepted.

    Args:
        history: Moves made so far.

    Returns:
        A plan at the beginning of a level, then tries and drops until the candidate accepted is each of the six with
        equal probability; an answer after the last level.
    """
    if history.count("accept") == N_LEVELS:
        return {"answer": 1.0}
    if not history or history[-1] == "accept":
        return {"plan": 1.0}
    if history[-1] in ("plan", "back"):
        return {"try": 1.0}
    last_plan = len(history) - 1 - list(reversed(history)).index("plan")
    n_left = N_CANDIDATES + 1 - history[last_plan:].count("try")
    return {"accept": 1 / n_left, "back": 1 - 1 / n_left}


def accept_at_once(history: Sequence[Move]) -> Mapping[Move, float]:
    """Accept five times and answer, with nothing ever tried: succeeds only where a model lets targets slip.

    Args:
        history: Moves made so far.

    Returns:
        The next move, with certainty.
    """
    return {"accept" if len(history) < N_LEVELS else "answer": 1.0}


GUESSERS: dict[str, Guesser] = {
    "random-moves": random_moves,
    "best-rates": best_rates,
    "known-order": known_order,
    "accept-at-once": accept_at_once,
}


def rates_success(rates: Mapping[Move, float]) -> float:
    """Compute how often moves drawn independently by fixed rates solve a problem, every word being right.

    Args:
        rates: Of the moves; they sum to 1.

    Returns:
        The mean over problems.
    """
    # Probability of each (level, candidates tried, something held) by the number of words said so far.
    shape = (N_LEVELS + 1, N_CANDIDATES + 1, 2)
    reached = np.zeros((MAX_RESPONSE_TOKENS + 1, *shape))
    reached[0, 0, 0, 0] = 1.0
    solved = 0.0
    for n_words in range(MAX_RESPONSE_TOKENS):
        for move, rate in rates.items():
            after = n_words + 3 + len(ARGUMENTS[move])
            if after > MAX_RESPONSE_TOKENS or not rate:
                continue
            here = rate * reached[n_words]
            if move == "answer":
                solved += float(here[N_LEVELS].sum())
                continue
            moved = np.zeros(shape)
            moved[N_LEVELS] = here[N_LEVELS]
            below = here[:N_LEVELS]
            match move:
                case "try":
                    moved[:N_LEVELS, :, 1] = below[:, :, 1]
                    moved[:N_LEVELS, 1:, 1] += below[:, :-1, 0]
                    moved[:N_LEVELS, -1, 0] = below[:, -1, 0]
                case "back":
                    moved[:N_LEVELS, :, 0] = below.sum(axis=2)
                case "plan":
                    moved[:N_LEVELS, 0, 0] = below.sum(axis=(1, 2))
                case "accept":
                    moved[1:, 0, 0] += below[:, :, 1].sum(axis=1) / N_CANDIDATES
                case _:
                    moved[:N_LEVELS] = below
            reached[after] += moved
    return solved


def order_success() -> float:
    """Compute how often `known_order` solves a problem, every word being right.

    Returns:
        The mean over problems: the rate of a uniform guess, but for responses that the limit cuts.
    """
    n_words = {move: 3 + len(ARGUMENTS[move]) for move in MOVES}
    n_least = N_LEVELS * (n_words["plan"] + n_words["try"] + n_words["accept"]) + n_words["answer"]
    n_drops = (MAX_RESPONSE_TOKENS - n_least) // (n_words["back"] + n_words["try"])
    n_ways = np.ones(1)
    for _ in range(N_LEVELS):
        n_ways = np.convolve(n_ways, np.ones(N_CANDIDATES))  # of so many drops in all
    return UNIFORM * float(n_ways[: n_drops + 1].sum() / n_ways.sum())


@dataclass(frozen=True, slots=True)
class ChanceCurve:
    """How often a guesser succeeds, and what that is at k guesses."""

    guesser: str
    success: Interval  # of one guess, mean over problems; value 0: never seen, and the upper end says how rare it is

    __repr__ = brief

    def pass_at(self, k: int) -> Interval:
        """Compute the most that k guesses can reach at this rate.

        Args:
            k: Guesses at each problem.

        Returns:
            1 - (1 - success)^k, with ends.
        """
        value, low, high = (
            -np.expm1(k * np.log1p(-min(rate, 1.0 - 1e-12)))
            for rate in (self.success.value, self.success.low, self.success.high)
        )
        return Interval(float(value), float(low), float(high), self.success.n)


def exact_curves() -> list[ChanceCurve]:
    """List the guessers whose success is known without any model.

    Returns:
        A uniform guess over answers, the best rates of moves, and the order of the grammar, each with every word right.
    """
    exact = {
        "uniform-answer": UNIFORM,
        "best-rates, right words": rates_success(BEST_RATES),
        "known-order, right words": order_success(),
    }
    return [ChanceCurve(guesser, Interval(rate, rate, rate)) for guesser, rate in exact.items()]
