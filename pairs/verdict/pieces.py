"""All pieces of evidence, and in which order they are measured at which size.

A further piece is one function that returns an `EvidenceLine`, and an entry here: its rungs say where it stands among
the others. First every piece is tried but for hybrid and decisions, which cost most; then the exchange grows to what a
sentence can be read from, decisions and hybrid are tried, and all grow in turns.

Work is counted in responses that a model writes alone. On the built-in family a response of which both models write
sentences takes as long as 5 of them, one in which a model says the other's tokens as long as 3, and to read one half as
long as to write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..decisions.choosers import CHOOSERS
from .decisions_piece import decisions_line
from .exchange_piece import N_ALONE, exchange_line
from .hybrid_piece import hybrid_line
from .likelihood_piece import N_READ, likelihood_line
from .passk_piece import passk_line
from .piece import Piece, Rung
from .profile_piece import profile_line

EXCHANGE, HYBRID, PASSK, LIKELIHOOD, PROFILE, DECISIONS = (
    *("exchange", "hybrid", "passk"),
    *("likelihood", "profile", "decisions"),
)
TOGETHER, SWAPPED, READ = 5, 3, 0.5  # in responses of one model alone
N_CHOOSERS = len(CHOOSERS)
PER_PROBLEM = 2 * N_ALONE + 4 * TOGETHER  # of an exchange: two models alone, and four cells


def _exchange(order: int, n_problems: int, n_below: int) -> Rung:
    return Rung(order=order, n_problems=n_problems, n_samples=1, work=PER_PROBLEM * (n_problems - n_below))


def _hybrid(order: int, n_problems: int) -> Rung:
    n_train, n_validation, n_test = 0.4 * n_problems, 0.2 * n_problems, 0.4 * n_problems
    work = 6 * n_train + 20 * n_validation + 44 * n_test  # rollouts and vectors, trials of strengths, arms
    return Rung(order=order, n_problems=n_problems, n_samples=1, work=work)


def _swapped(order: int, n_problems: int) -> Rung:
    n_validation = n_problems // 5
    of_validation, of_test = (
        1 + N_CHOOSERS,
        2 + N_CHOOSERS,
    )  # none of the tokens and all, and each chooser at one budget
    n_responses = 2 * (of_validation * n_validation + of_test * (n_problems - n_validation))  # both ways
    return Rung(order=order, n_problems=n_problems, n_samples=1, work=float(SWAPPED * n_responses))


def _read(order: int, n_problems: int, n_samples: int) -> Rung:
    n_read = 2 * 2 * N_READ * n_problems  # two models read what two models wrote
    work = 2 * n_problems * n_samples + READ * n_read
    return Rung(order=order, n_problems=n_problems, n_samples=n_samples, work=work)


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
            _exchange(7, 100, 50),
            _exchange(10, 200, 100),
            _exchange(15, 400, 200),
            _exchange(21, 800, 400),
        ),
    ),
    HYBRID: Piece(name=HYBRID, measure=hybrid_line, rungs=(_hybrid(9, 50), _hybrid(11, 250), _hybrid(16, 500))),
    PASSK: Piece(
        name=PASSK,
        measure=passk_line,
        rungs=(_sampled(1, 50, 2), _sampled(8, 50, 8, 2), _sampled(12, 50, 32, 8), _sampled(17, 50, 128, 32)),
    ),
    PROFILE: Piece(
        name=PROFILE, measure=profile_line, rungs=(_sampled(2, 25, 2), _sampled(13, 50, 4), _sampled(18, 200, 4))
    ),
    LIKELIHOOD: Piece(
        name=LIKELIHOOD, measure=likelihood_line, rungs=(_read(3, 10, 4), _read(14, 25, 8), _read(19, 100, 16))
    ),
    DECISIONS: Piece(name=DECISIONS, measure=decisions_line, rungs=(_swapped(6, 15), _swapped(20, 60))),
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
