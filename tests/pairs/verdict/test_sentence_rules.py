"""The sentence of a verdict: the exchange's own, and what other evidence adds to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reasonlens.pairs.exchange import reading
from reasonlens.pairs.verdict.findings import FINDINGS
from reasonlens.pairs.verdict.sentence_rules import sentence_of, stance_of

from ..exchange.results import pair_exchange, share
from .results import exchange_line, other_line

HEADLINES = {
    getattr(reading, name)
    for name in (
        *("NO_GAP", "WORSE", "WHEN_AT_A_COST", "HOW_AT_A_COST", "WHEN_LITTLE_HOW", "HOW_LITTLE_WHEN", "BOTH"),
        *("MORE_WHEN", "MORE_HOW", "WHEN_AND_PERHAPS_HOW", "HOW_AND_PERHAPS_WHEN"),
    )
}
WHEN, BOTH, HOW = 1.0, 0.5, 0.05  # when-shares with intervals from .05 below to .07 above


@pytest.mark.parametrize(
    ("when", "findings", "headline"),
    [
        (WHEN, (), "Training taught when, and little or no how"),
        (BOTH, (), "Training taught both when and how"),
        (HOW, (), "Training taught how, and little or no when"),
        (WHEN, ("steered most",), "Training taught when, and little or no how"),
        (WHEN, ("out of reach",), "Training taught when, and little or no how, but other contradicts this"),
        (WHEN, ("ahead",), "Training taught when, and little or no how"),
        (WHEN, ("behind",), "Training taught when, and little or no how, but other contradicts this"),
        (BOTH, ("steered most",), "Training taught both when and how"),
        (BOTH, ("out of reach",), "Training taught both when and how"),
        (HOW, ("steered most",), "Training taught how, and little or no when, but other contradicts this"),
        (HOW, ("steered part",), "Training taught how, and little or no when, but other contradicts this"),
        (HOW, ("out of reach",), "Training taught how, and little or no when"),
    ],
)
def test_other_evidence_agrees_contradicts_or_is_silent_and_never_replaces_the_sentence(
    when: float, findings: tuple[str, ...], headline: str
) -> None:
    verdict = sentence_of([exchange_line(when), other_line("other", *findings)], {})
    assert verdict.headline == headline
    assert ("other contradicts this: " in verdict.because) == ("contradicts" in headline)
    assert verdict.because.startswith("of a gap of 0.50")
    assert verdict.rule == ("contradicted" if "contradicts" in headline else "reading")


@pytest.mark.parametrize(
    ("findings", "stance", "words"),
    [
        ((), "silent", "other is silent"),
        (("steered most",), "agrees", "other agrees: steered when"),
        (("out of reach",), "contradicts", "other contradicts this: with all its samples"),
        (("steered most", "out of reach"), "contradicts", "other contradicts this: with all its samples"),
    ],
)
def test_each_line_has_a_stance_and_the_sentence_says_it(findings: tuple[str, ...], stance: str, words: str) -> None:
    exchange, other = exchange_line(WHEN), other_line("other", *findings)
    assert stance_of(exchange, "whatever") == "decides"
    assert exchange.verdict is not None and stance_of(other, exchange.verdict.headline) == stance
    assert words in sentence_of([exchange, other], {}).because


def test_without_an_exchange_nothing_is_said_whatever_the_other_lines_found() -> None:
    verdict = sentence_of([other_line("hybrid", "steered most")], {"exchange": "a prompt opens thoughts."})
    assert (verdict.rule, verdict.headline) == ("not exchanged", "Cannot say")
    assert "no other evidence is calibrated (a prompt opens thoughts)" in verdict.because
    assert "did not fit in the budget" in sentence_of([], {}).because


@pytest.mark.parametrize(("labelled", "rule"), [(0.51, "reading"), (0.49, "unlabelled")])
def test_texts_that_the_labeller_does_not_know_are_not_called_how(labelled: float, rule: str) -> None:
    verdict = sentence_of([exchange_line(HOW, labelled)], {})
    assert verdict.rule == rule
    assert verdict.headline == ("Cannot say" if rule == "unlabelled" else "Training taught how, and little or no when")


def test_missing_labels_are_said_also_where_the_exchange_cannot_say() -> None:
    line = exchange_line(WHEN, labelled=0.0)
    unsure = replace(line, verdict=reading.reading_of(replace(pair_exchange(), lost=share(0.3), lost_open=share(0.3))))
    verdict = sentence_of([unsure], {})
    assert (verdict.rule, verdict.headline) == ("unlabelled", "Cannot say")
    assert "less than alone" in verdict.because


def test_a_missing_gap_is_said_also_where_labels_are_missing_and_contradicted_by_a_sure_one() -> None:
    line = exchange_line(WHEN, labelled=0.0)
    no_gap = replace(line, verdict=reading.reading_of(replace(pair_exchange(), gap=share(0.0))))
    assert sentence_of([no_gap], {}).headline == "No gap is shown"
    contradicted = sentence_of([no_gap, other_line("passk", "ahead")], {})
    assert contradicted.headline == "No gap is shown, but passk contradicts this"


def test_several_contradictions_are_all_named() -> None:
    lines = [exchange_line(HOW), other_line("hybrid", "steered most"), other_line("passk", "behind")]
    verdict = sentence_of(lines, {})
    assert verdict.headline.endswith("but hybrid and passk contradict this")
    assert verdict.figures and verdict.refutable_by == ("itself",)


@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_takes_no_side_twice_and_names_only_headlines_that_there_are(name: str) -> None:
    finding = FINDINGS[name]
    assert not finding.agrees & finding.disagrees
    assert finding.agrees | finding.disagrees <= HEADLINES
