"""Measure pair by pair in one run directory: a folder of its own for each pair, then one result of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..models._load import ModelLike
from ..rundir import RunDirectory, expanded, members_of
from ..rundir.result_files import REPORT, RESULTS, TABLE
from .identity import folders_of, inputs_of
from .opening import Problems, open_pairs
from .pair import Pair, check_lengths


class _Result(Protocol):
    def write(self, directory: str | Path) -> None: ...


OfPair = TypeVar("OfPair")
OfAll = TypeVar("OfAll", bound=_Result)


def pairs_to_measure(
    base: ModelLike | None,
    thinking: ModelLike | Sequence[ModelLike],
    problems: Problems | None,
    pairs: Sequence[Pair] | None,
    settings: Any,
    device: str | None,
    n_validation: int = 1,
) -> list[Pair]:
    """Open the pairs that are measured on their test problems, or check those that are given.

    Args:
        base: Model without the training; None: of each organism the base that it was trained from.
        thinking: Model with it, or several: each makes a pair with the base.
        problems: What both are asked; None: organisms, which have problems of their own.
        pairs: What is measured in place of all these; None: nothing.
        settings: Their `n_test` and `seed` choose the problems.
        device: For models given by name.
        n_validation: Problems on which something is chosen first; one where nothing is.

    Returns:
        The pairs.

    Raises:
        InputError: Models or problems cannot be used, or a prompt is longer than a model reads.
    """
    if pairs is None:
        counts = {"n_train": 1, "n_validation": n_validation, "n_test": settings.n_test}
        pairs = open_pairs(base, thinking, problems, **counts, seed=settings.seed, device=device)
    pairs = members_of(pairs, Pair, "pairs", "give what question_pair or organism_pair returned")
    for pair in pairs:
        check_lengths(pair)
    return list(pairs)


def measure_each(
    command: str,
    pairs: Sequence[Pair],
    settings: Any,
    out: str | Path | None,
    measure: Callable[[Pair, RunDirectory], OfPair],
    result_of: Callable[[dict[str, OfPair]], OfAll],
    changeable: Sequence[str] = (),
) -> OfAll:
    """Measure each pair in a folder of its own, and write the result of all.

    Args:
        command: What is measured, as the run directory names it.
        pairs: The pairs.
        settings: A dataclass; a run with others is another run, but for `n_rows`.
        out: The directory; the same call goes on there where it was cut off. None keeps nothing.
        measure: Measures a pair; what it logs in its directory is there the next time.
        result_of: Makes the result of what was measured, by the name of the pair.
        changeable: Settings with which a run goes on where they are others: what was measured stays.

    Returns:
        The result.

    Raises:
        InputError: Two pairs have one name, or `out` holds another run (of other pairs too) or is being written.
    """
    folders = folders_of(pairs)
    place = None if out is None else expanded(out)
    stated = asdict(settings)
    free = {name: stated.pop(name) for name in changeable}
    compared = {name: value for name, value in stated.items() if name != "n_rows"}
    measured: dict[str, OfPair] = {}
    inputs = {pair.name: inputs_of(pair) for pair in pairs}
    options = {"n_rows": settings.n_rows}
    with RunDirectory(place, command, settings=compared, inputs=inputs, changeable=free, options=options) as run:
        run.record()
        for pair in pairs:
            folder = run.file(folders[pair.name])
            own = RunDirectory(
                folder, f"{command} of a pair", settings=compared, inputs=inputs[pair.name], changeable=free
            )
            with own, run.stage(pair.name):
                own.record()
                measured[pair.name] = measure(pair, own)
                own.finish()
        result = result_of(measured)
        if place is not None:
            result.write(place)
        run.finish((RESULTS, TABLE, REPORT))
    return result
