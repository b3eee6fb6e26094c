"""A judge beside the rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reasonlens.pairs import Pair, organism_pair
from reasonlens.pairs.hybrid import (
    PairRun,
    RowRecord,
)
from reasonlens.pairs.hybrid.arm import Tuned
from reasonlens.pairs.hybrid.arm_run import ArmRun
from reasonlens.pairs.hybrid.judging import Judged, judge_pair
from reasonlens.rundir import InputError
from reasonlens.traces.questions import Question

N = 40


class Judge:
    """Says yes to what contains 42, and nothing clear to what has no number."""

    model = "a judge"

    def __init__(self) -> None:
        self.asked: list[tuple[int, Path | None]] = []

    def grade(self, questions: Sequence[Question], texts: Sequence[str], kept: Path | None) -> list[bool | None]:
        self.asked.append((len(questions), kept))
        return [None if "?" in text else "42" in text for text in texts]


def record(text: str) -> RowRecord:
    empty: dict[str, Any] = dict.fromkeys(
        (
            *("tokens", "base", "thinking", "base_likeliest", "thinking_likeliest", "gated", "behaviour", "strength"),
            *("kl_nats", "base_logprob", "thinking_logprob"),
        ),
        (),
    )
    return RowRecord(text=text, is_truncated=False, **empty)


def run(texts: dict[str, list[str]], answer: str | None = "42") -> PairRun:
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=1)
    asked = tuple(Question(f"p{number}", f"q{number}", answer) for number in range(N))
    known = {name: getattr(pair, name) for name in ("base", "thinking", "train", "validation", "grader", "annotator")}
    arms = {
        name: ArmRun(
            name=name,
            records=(tuple(record(text) for text in said),),
            is_solved=(tuple(None if " or " in text else text == "42" for text in said),),
            answered_in_thoughts=((False,) * len(said),),
        )
        for name, said in texts.items()
    }
    nothing: Any = None
    return PairRun(
        pair=Pair(name="pair", test=asked, **known),
        components=nothing,
        tuned=Tuned(layer=1, strength=1.0, threshold=0.0),
        search=pd.DataFrame(),
        next_sentence=pd.DataFrame(),
        arms=arms,
        measures={},
    )


def test_a_judge_is_asked_about_what_the_rule_is_unsure_of_and_nothing_else(tmp_path: Path) -> None:
    judge: Any = Judge()
    texts = {
        "base": ["41"] * N,
        "thinking": ["42"] * N,
        "hybrid": ["42"] * 20 + ["42 or 41"] * 10 + ["40 or 41"] * 5 + [""] * 5,
    }
    judged = judge_pair(run(texts), judge, tmp_path / "judge.jsonl")
    assert judged.accuracy == {"base": 0.0, "thinking": 1.0, "hybrid": 0.75}
    assert judged.n_asked == {"base": 0, "thinking": 0, "hybrid": 15} and judged.n_ungraded["hybrid"] == 0
    assert judged.gap.share.value == pytest.approx(0.75) and judged.gap.share.low < 0.75 < judged.gap.share.high
    assert judge.asked == [(n, tmp_path / "judge.jsonl") for n in (0, 0, 15)]
    written = json.loads(json.dumps(judged.to_dict(), allow_nan=False))
    assert Judged.from_dict(written).to_dict() == judged.to_dict()


def test_problems_without_one_right_answer_are_not_judged() -> None:
    judge: Any = Judge()
    texts = {name: ["42"] * N for name in ("base", "thinking", "hybrid")}
    with pytest.raises(InputError, match="no single right answer that a judge could compare with"):
        judge_pair(run(texts, None), judge)
    assert not judge.asked


def test_a_judge_that_never_says_yes_or_no_is_named() -> None:
    judge: Any = Judge()
    texts = {name: ["this or that?"] * N for name in ("base", "thinking", "hybrid")}
    with pytest.raises(InputError, match="a judge said neither yes nor no to any answer of pair"):
        judge_pair(run(texts), judge)
