"""What a pair's training taught, *when* or *how*, by all evidence that fits in a budget of time, on one page.

1. Every piece of evidence is tried at its smallest size; what the trials took says what larger sizes will take.
2. Pieces are measured again at larger sizes, those first that add most, as long as the time suffices (`budget.py`).
3. The sentence is the exchange's, and says which other lines agree, contradict it or are silent (`sentence_rules.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...models._load import ModelLike
from ...models.organism import Organism
from ...rundir import (
    InputError,
    RunDirectory,
    expanded,
    from_row,
    parse_json,
    reading,
    settings_of,
    shown,
    to_row,
    write_json,
)
from ...rundir.result_files import REPORT, RESULTS, TABLE
from ...stats import Interval
from ..identity import inputs_of
from ..opening import Problems, open_pairs
from ..pair import Pair, check_lengths
from .budget import FAILED, Climb, climb_all, left_out
from .evidence_line import EvidenceLine
from .looks import level_of_look, read_looks, with_look, write_looks
from .piece import Piece, Subject
from .pieces import EXCHANGE, most_problems, pieces_for
from .result import VerdictResult
from .settings import CLOCKS, VerdictSettings

PAIR = "organism/rl-timing"
PROGRESS = "progress.json"


def verdict(
    base: ModelLike | None = None,
    thinking: ModelLike | None = None,
    problems: Problems | None = None,
    *,
    pair: Pair | None = None,
    settings: VerdictSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> VerdictResult:
    """Say whether training taught a pair's thinking model when or how, with the evidence that fits in a budget of time.

    Args:
        base: Model without the training; None: of an organism the base that it was trained from.
        thinking: Model with it; None: `organism/rl-timing`.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        pair: What is measured in place of these three (`question_pair`, `organism_pair`): on its test problems.
        settings: How much time there is, and how models write; default `VerdictSettings()`.
        out: Directory for results.json, table.csv, report.html and a folder for each piece; the same call goes on there
            where it was cut off, and one with a larger budget from where the smaller one ended, with intervals that
            allow for having looked before. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        The sentence, lines of evidence, what could not be measured and why, and what would change the sentence.

    Raises:
        InputError: Models, problems or settings cannot be used, or `out` holds another run or is being written.
    """
    chosen = settings_of(settings, VerdictSettings)
    pair = _pair(base, thinking, problems, pair, chosen, device)
    check_lengths(pair)
    pieces = pieces_for(len(pair.test), chosen.n_test)
    compared = {
        name: value for name, value in asdict(chosen).items() if name not in ("budget_seconds", "clock", "n_rows")
    }
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory())) / "run" if out is None else expanded(out)
        run = stack.enter_context(
            RunDirectory(
                place,
                "verdict",
                settings=compared,
                inputs=inputs_of(pair),
                changeable={"budget_seconds": chosen.budget_seconds},
                options={"n_rows": chosen.n_rows, "clock": chosen.clock},
            )
        )
        run.record()
        looks = read_looks(place)
        level = level_of_look(len(looks) + 1)
        subject = Subject(pair=pair, settings=chosen, place=place, progress=progress, level=level)
        lines, climbs = measure_within(subject, pieces, chosen.budget_seconds, CLOCKS[chosen.clock])
        n_exchanged = max(one.share.n or 0 for one in lines[EXCHANGE].readings) if EXCHANGE in lines else 0
        looks = with_look(looks, n_exchanged)
        write_looks(place, looks)
        result = VerdictResult(
            pair=pair.name,
            base=pair.base.name,
            thinking=pair.thinking.name,
            lines=tuple(lines[name] for name in pieces if name in lines),
            climbs=(*climbs, *left_out(pieces, climbs)),
            looks=looks,
            truth=truth_of_pair(pair),
            settings=chosen,
        )
        if out is not None:
            result.write(place)
        run.finish((RESULTS, TABLE, REPORT) if out is not None else ())
    return result


def measure_within(
    subject: Subject, pieces: dict[str, Piece], budget_seconds: float, clock: Callable[[], float]
) -> tuple[dict[str, EvidenceLine], list[Climb]]:
    """Measure what fits, and keep it after each rung.

    Args:
        subject: The pair; its place keeps `progress.json`, from which a later call goes on.
        pieces: What may be measured.
        budget_seconds: For all of it, what earlier calls took included.
        clock: Tells seconds.

    Returns:
        The line of each piece that was measured, and what was climbed.

    Raises:
        InputError: `progress.json` is damaged.
    """
    path = subject.place / PROGRESS
    lines, earlier = _earlier(path)
    climbs = earlier

    def measure(piece: Piece, number: int) -> None:
        lines[piece.name] = piece.measure(subject, piece.rungs[: number + 1])

    for so_far in climb_all(pieces, climbs, budget_seconds, clock, measure):
        climbs = with_earlier_failures(so_far, earlier)
        write_json(
            path,
            {
                "lines": {name: to_row(line) for name, line in lines.items()},
                "climbs": [to_row(climb) for climb in climbs],
            },
        )
    return lines, climbs


def with_earlier_failures(climbs: Sequence[Climb], earlier: Sequence[Climb]) -> list[Climb]:
    """Keep what an earlier call could not measure, unless this one has tried it again.

    Args:
        climbs: Of this call.
        earlier: Of the earlier one.

    Returns:
        The climbs, then the earlier failures of pieces that were not tried as far again.
    """
    heights = {(climb.piece, climb.rung) for climb in climbs}
    return [*climbs, *(one for one in earlier if one.state == FAILED and (one.piece, one.rung) not in heights)]


def truth_of_pair(pair: Pair) -> Interval | None:
    """Return the share of the gap that is timing, where it is known.

    Args:
        pair: Any pair.

    Returns:
        The share; None but for an organism and the base that it was trained from.
    """
    base, thinking = pair.base, pair.thinking
    if not (isinstance(base, Organism) and isinstance(thinking, Organism)):
        return None
    if thinking.base is None or thinking.base != base.directory.name or thinking.vectors is not None:
        return None
    try:
        known = thinking.truth()["pair"]
    except InputError:  # the family was not measured
        return None
    return None if known is None else from_row(Interval, known["timing_share"])


def _earlier(path: Path) -> tuple[dict[str, EvidenceLine], list[Climb]]:
    """Read what an earlier call has measured."""
    if not path.is_file():
        return {}, []
    with reading(path, "the progress of a verdict"):
        content: Any = parse_json(path.read_bytes(), path)
        lines = {str(name): from_row(EvidenceLine, line) for name, line in content["lines"].items()}
        return lines, [from_row(Climb, climb) for climb in content["climbs"]]


def _pair(
    base: ModelLike | None,
    thinking: ModelLike | None,
    problems: Problems | None,
    pair: Pair | None,
    settings: VerdictSettings,
    device: str | None,
) -> Pair:
    if pair is None:
        counts = {"n_train": 0, "n_validation": 0, "n_test": max(most_problems(), settings.n_test)}
        thinking = PAIR if thinking is None else thinking
        pair = open_pairs(base, thinking, problems, **counts, seed=settings.seed, device=device)[0]
    if not isinstance(pair, Pair):
        raise InputError(
            f"pair takes a reasonlens.Pair, and {shown(pair)} is none; give what question_pair or organism_pair "
            "returned"
        )
    return pair
