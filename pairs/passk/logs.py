"""Count right samples in the logs of inspect_ai and lm-eval, as these tools write them (0.3.285 and 0.4.13).

inspect_ai      {"status": ..., "eval": {...}, "samples": [{"id", "epoch", "scores": {SCORER: {"value": "C"}}, ...}]}
lm-eval         {"doc_id", "target", "resps": [[TEXT, ...]], "filter", "metrics": ["exact_match"], "exact_match": 1.0}

A sample is right where its score is full: `C`, true, yes or 1. Partial scores are not right, and are counted and said;
samples without a score (they failed) are left out. A line of lm-eval has one score of the response that its filter
chose, whatever the number of repeats: several repeats are counted from `pass@1` or from a list of scores where there is
one, and are graded by rule else (`traces.questions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...rundir import InputError, did_you_mean, listed, shown
from ...traces.question_files import QUESTION, final_answer
from ...traces.questions import Question, mathematics
from .counts import ProblemCounts

FULL = ("c", "true", "yes")  # texts that stand for a full score
FULL_NUMBER = 1.0
EXACT = "pass@1"  # the share of a document's repeats that are right
BY_RULE = ("exact_match", "math_verify", "acc")  # metrics of an answer, which the rule can grade too
NEARLY_WHOLE = 1e-6
WRONG = ("it counts as wrong", "they count as wrong")

Counted = tuple[tuple[ProblemCounts, ...], tuple[str, ...]]


def is_inspect_log(row: Any) -> bool:
    """Tell whether a value is a log of inspect_ai."""
    return isinstance(row, Mapping) and "eval" in row and "status" in row


def is_lm_eval_row(row: Any) -> bool:
    """Tell whether a value is a line of lm-eval's samples."""
    return isinstance(row, Mapping) and "doc_id" in row and "resps" in row


@dataclass(slots=True)
class _Tally:
    """The samples of each problem, counted one after another."""

    n: dict[str, int] = field(default_factory=dict)
    c: dict[str, int] = field(default_factory=dict)
    n_partial: int = 0
    n_unscored: int = 0
    n_unsure: int = 0

    def add(self, name: str, n: int, c: int) -> None:
        self.n[name] = self.n.get(name, 0) + n
        self.c[name] = self.c.get(name, 0) + c

    def score(self, name: str, value: Any, where: str) -> None:
        """Count a sample by its score; None or NaN: it has none."""
        if value is None or value != value:
            self.n_unscored += 1
            self.add(name, 0, 0)
            return
        if isinstance(value, str):
            is_right, is_partial = value.lower() in FULL, value.upper() == "P"
        elif isinstance(value, bool | int | float):
            is_right, is_partial = value == FULL_NUMBER, 0 < value < FULL_NUMBER
            if value > FULL_NUMBER:
                raise InputError(
                    f"{where}: the score {shown(value)} is above 1, so what is right cannot be told from it"
                )
        else:
            raise InputError(f"{where}: the score is {shown(value)}; a single one is needed, such as C, true or 1")
        self.n_partial += is_partial
        self.add(name, 1, int(is_right))

    def counted(self, notes: Sequence[str] = ()) -> Counted:
        """Return the counts, and what has to be said of them."""
        exceptions = [
            f"{number} samples {have} ({many})" if number > 1 else f"1 sample {has} ({one})"
            for number, has, have, one, many in (
                (self.n_partial, "has part of the score", "have part of the score", *WRONG),
                (self.n_unscored, "has no score", "have no score", "it is left out", "they are left out"),
                (self.n_unsure, "cannot be graded by rule", "cannot be graded by rule", *WRONG),
            )
            if number
        ]
        return tuple(ProblemCounts(id=name, n=n, c=self.c[name]) for name, n in self.n.items()), (*notes, *exceptions)


def inspect_counts(log: Mapping[str, Any], source: str, score: str | None) -> Counted:
    """Count the right epochs of each sample of an inspect_ai log.

    Args:
        log: The log.
        source: Its file, for messages.
        score: Name of the scorer; None: the only one.

    Returns:
        Counts by sample id, and notes.

    Raises:
        InputError: The log holds no samples, several scorers and none is named, or an epoch twice.
    """
    samples = log.get("samples")
    if not isinstance(samples, list) or not samples:
        raise InputError(
            f"{source} is a log of inspect_ai without samples (a header?): log with samples, or dump it whole"
        )
    scorers: dict[str, None] = {}
    for number, sample in enumerate(samples):
        if not isinstance(sample, Mapping) or "id" not in sample or "epoch" not in sample:
            raise InputError(f"{source}: samples[{number}] has no id and epoch, as those of inspect_ai have")
        scorers |= dict.fromkeys(sample.get("scores") or {})
    chosen = _chosen(score, list(scorers), source, "scorer")
    tally, epochs = _Tally(), set()
    for number, sample in enumerate(samples):
        name, where = str(sample["id"]), f"{source}: samples[{number}]"
        if (name, sample["epoch"]) in epochs:
            raise InputError(f"{where}: epoch {sample['epoch']} of {name!r:.60} is there twice")
        epochs.add((name, sample["epoch"]))
        result = (sample.get("scores") or {}).get(chosen)
        tally.score(name, result.get("value") if isinstance(result, Mapping) else None, where)
    status = log.get("status")
    return tally.counted([] if status == "success" else [f"the log's status is {status}: samples may be missing"])


def lm_eval_counts(rows: Sequence[tuple[str, Any]], source: str, score: str | None) -> Counted:
    """Count the right repeats of each document of lm-eval's samples; lines of several runs may follow one another.

    Args:
        rows: Where each line stands, and the line.
        source: The file, for messages.
        score: `METRIC` or `METRIC,FILTER`, as lm-eval's results are called; None: the only one.

    Returns:
        Counts by document, and notes.

    Raises:
        InputError: A line is no sample, there are several metrics or filters and none is named, or repeats cannot be
            graded.
    """
    names: dict[str, None] = {}
    for where, row in rows:
        if not is_lm_eval_row(row) or not isinstance(row.get("metrics"), list):
            raise InputError(
                f"{where}: no sample of lm-eval, which has doc_id, resps and metrics, as the first line has"
            )
        names |= {f"{metric},{row.get('filter', 'none')}": None for metric in row["metrics"]}
    metric, _, chosen_filter = _chosen(score, list(names), source, "metric").rpartition(",")
    tally, n_by_rule = _Tally(), 0
    for where, row in rows:
        if str(row.get("filter", "none")) != chosen_filter or metric not in row:
            continue
        name, value, responses = str(row["doc_id"]), row[metric], _responses(row)
        if isinstance(value, list):
            for one in value:
                tally.score(name, one, where)
        elif len(responses) < 2:
            tally.score(name, value, where)
        elif metric == EXACT:
            right = float(value) * len(responses)
            if abs(right - round(right)) > NEARLY_WHOLE * len(responses):
                raise InputError(f"{where}: {EXACT} is {value}, which is no share of {len(responses)} repeats")
            tally.add(name, len(responses), round(right))
        elif metric not in BY_RULE:
            raise InputError(
                f"{where}: {metric!r:.60} is of one of {len(responses)} repeats, or of all together; choose {EXACT} or "
                f"one of {', '.join(BY_RULE)} with --score, or count yourself and give rows of id, n and c"
            )
        else:
            grades = [mathematics(_question(row, where), response) for response in responses]
            tally.n_unsure += sum(grade is None for grade in grades)
            tally.add(name, len(grades), sum(grade is True for grade in grades))
            n_by_rule += len(grades)
    note = f"lm-eval's {metric} grades one of several repeats, so {n_by_rule} responses were graded by rule"
    return tally.counted([note] if n_by_rule else [])


def _chosen(score: str | None, names: Sequence[str], source: str, what: str) -> str:
    if not names:
        raise InputError(f"{source} holds no scores: no sample has any {what}")
    if score is None and len(names) == 1:
        return names[0]
    fitting = [name for name in names if score in (name, name.rpartition(",")[0])]
    if len(fitting) == 1:
        return fitting[0]
    remedy = f"choose with --score: {listed(names)}"
    if score is None:
        raise InputError(f"{source} has {len(names)} scores; {remedy}")
    reason = "is not one of its scores" if not fitting else "is several of its scores"
    raise InputError(f"{source}: {score!r:.60} {reason}; {remedy}.{did_you_mean(score, names)}")


def _responses(row: Mapping[str, Any]) -> list[str]:
    """List the repeats of a document; of several requests (multiple choice) there is one response to all."""
    requests = row["resps"]
    if isinstance(requests, list) and len(requests) == 1 and isinstance(requests[0], list):
        return [response for response in requests[0] if isinstance(response, str)]
    return []


def _question(row: Mapping[str, Any], where: str) -> Question:
    document, target = row.get("doc"), row.get("target")
    if not isinstance(target, str) or not target.strip():
        raise InputError(
            f"{where}: no target to grade its repeats by; count them yourself and give rows of id, n and c"
        )
    prompt = next((document[key] for key in QUESTION if key in document), "") if isinstance(document, Mapping) else ""
    return Question(problem=str(row["doc_id"]), prompt=str(prompt), answer=final_answer(target))
