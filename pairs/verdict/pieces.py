"""All pieces of evidence, and in which order they are measured at which size.

A further piece is one function that returns an `EvidenceLine`, and an entry here: its rungs say where it stands among
the others. First every piece is tried but for hybrid and decisions, which cost most; then the exchange grows, from
which the sentence is read; then the others do.

A response that two models write together counts as 5 of one model alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .decisions_piece import decisions_line
from .exchange_piece import N_ALONE, exchange_line
from .hybrid_piece import hybrid_line
from .likelihood_piece import likelihood_line
from .passk_piece import passk_line
from .piece import Piece, Rung
from .profile_piece import profile_line

EXCHANGE, HYBRID, PASSK, LIKELIHOOD, PROFILE, DECISIONS = (
    *("exchange", "hybrid", "passk"),
    *("likelihood", "profile", "decisions"),
)
TOGETHER = 5  # in responses of one model alone
PER_PROBLEM = 2 * N_ALONE + 4 * TOGETHER  # of an exchange: two models alone, and four cells


def _exchange(order: int, n_problems: int, n_below: int) -> Rung:
    return Rung(order=order, n_problems=n_problems, n_samples=1, work=PER_PROBLEM * (n_problems - n_below))


def _hybrid(order: int, n_problems: int) -> Rung:
    n_train, n_validation, n_test = 0.4 * n_problems, 0.2 * n_problems, 0.4 * n_problems
    work = 6 * n_train + 20 * n_validation + 30 * n_test  # rollouts and vectors, trials of strengths, arms
    return Rung(order=order, n_problems=n_problems, n_samples=1, work=work)


def _swapped(order: int, n_problems: int) -> Rung:
    work = 2.0 * 6 * TOGETHER * n_problems  # both ways: none, all, and four choosers at one budget
    return Rung(order=order, n_problems=n_problems, n_samples=1, work=work)


def _sampled(order: int, n_problems: int, n_samples: int, n_below: int = 0) -> Rung:
    return Rung(order=order, n_problems=n_problems, n_samples=n_samples, work=2.0 * n_problems * (n_samples - n_below))


PIECES: dict[str, Piece] = {
    EXCHANGE: Piece(
        name=EXCHANGE,
        measure=exchange_line,
        rungs=(
            _exchange(0, 12, 0),
            _exchange(4, 25, 12),
            _exchange(5, 50, 25),
            _exchange(6, 100, 50),
            _exchange(8, 200, 100),
            _exchange(14, 400, 200),
            _exchange(19, 800, 400),
        ),
    ),
    HYBRID: Piece(name=HYBRID, measure=hybrid_line, rungs=(_hybrid(9, 50), _hybrid(10, 250), _hybrid(15, 500))),
    PASSK: Piece(
        name=PASSK,
        measure=passk_line,
        rungs=(_sampled(1, 50, 2), _sampled(7, 50, 8, 2), _sampled(11, 50, 32, 8), _sampled(16, 50, 128, 32)),
    ),
    PROFILE: Piece(
        name=PROFILE, measure=profile_line, rungs=(_sampled(2, 25, 2), _sampled(12, 50, 4), _sampled(17, 200, 4))
    ),
    LIKELIHOOD: Piece(
        name=LIKELIHOOD,
        measure=likelihood_line,
        rungs=(_sampled(3, 10, 4), _sampled(13, 25, 8), _sampled(18, 100, 16)),
    ),
    DECISIONS: Piece(name=DECISIONS, measure=decisions_line, rungs=(_swapped(20, 20), _swapped(21, 60))),
}


def pieces_for(n_problems: int, n_exchanged: int) -> dict[str, Piece]:
    """Fit the pieces to the problems that there are.

    Rungs that need more problems are left out; of a piece all of whose rungs need more, the first stays and says so.

    Args:
        n_problems: How many there are.
        n_exchanged: Of these, how many may be answered in an exchange.

    Returns:
        Name -> piece.
    """
    most: Mapping[str, int] = {EXCHANGE: min(n_problems, n_exchanged)}
    fitted = {}
    for name, piece in PIECES.items():
        limit = most.get(name, n_problems)
        rungs = [rung for rung in piece.rungs if rung.n_problems <= limit] or [piece.rungs[0]]
        fitted[name] = replace(piece, rungs=tuple(rungs))
    return fitted


def most_problems() -> int:
    """The most problems that any piece takes."""
    return max(rung.n_problems for piece in PIECES.values() for rung in piece.rungs)
