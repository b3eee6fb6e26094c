"""Pieces of evidence measured on a real pair, and what is read off what they measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel
from reasonlens.pairs import Pair, organism_pair
from reasonlens.pairs.exchange import ExchangeResult
from reasonlens.pairs.passk import PasskSettings, passk
from reasonlens.pairs.verdict import VerdictSettings, verdict
from reasonlens.pairs.verdict._verdict import truth_of_pair
from reasonlens.pairs.verdict.decisions_piece import line_of_decisions
from reasonlens.pairs.verdict.exchange_piece import N_ALONE, exchange_line, line_of_exchange
from reasonlens.pairs.verdict.hybrid_piece import line_of_hybrid
from reasonlens.pairs.verdict.likelihood_piece import likelihood_line, line_of_likelihood
from reasonlens.pairs.verdict.passk_piece import line_of_passk, passk_line
from reasonlens.pairs.verdict.piece import Piece, Rung, Subject
from reasonlens.pairs.verdict.profile_piece import line_of_profile, profile_line
from reasonlens.rundir import InputError
from reasonlens.stats import Interval
from reasonlens.traces import Span

from ..decisions.results import decisions_result
from ..exchange.results import pair_exchange
from ..hybrid.results import hybrid_result
from ..likelihood.results import likelihood_result
from ..passk.results import passk_result, rows
from ..profile.results import profile_result

SHORT = VerdictSettings(sampling=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=12))


def rung(n_problems: int, n_samples: int = 1, order: int = 0) -> Rung:
    return Rung(order=order, n_problems=n_problems, n_samples=n_samples, work=1.0)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return organism_pair("organism/rl-timing", n_train=0, n_validation=0, n_test=6)


def subject_of(pair: Pair, place: Path, settings: VerdictSettings = SHORT) -> Subject:
    return Subject(pair=pair, settings=settings, place=place, progress=False, level=0.95)


def test_an_exchange_grows_part_by_part_to_what_it_is_at_once(pair: Pair, tmp_path: Path) -> None:
    sizes = (rung(2), rung(4))
    exchange_line(subject_of(pair, tmp_path / "grown"), sizes[:1])
    grown = exchange_line(subject_of(pair, tmp_path / "grown"), sizes)
    at_once = exchange_line(subject_of(pair, tmp_path / "at-once"), sizes)
    assert grown == at_once and grown.readings[-2].share.n == 4
    results = [
        ExchangeResult.from_dict(json.loads((tmp_path / run / "exchange" / "results.json").read_text()))
        for run in ("grown", "at-once")
    ]
    assert results[0].pairs["rl-timing"].cells == results[1].pairs["rl-timing"].cells
    assert results[0].settings.n_test == 4
    parts = tmp_path / "grown" / "exchange"
    counts = {
        part: {log.stem: len(log.read_text().splitlines()) - 1 for log in (parts / part / "cells").iterdir()}
        for part in ("problems-0-2", "problems-2-4")
    }
    alone = {"base": 2 * N_ALONE, "thinking": 2 * N_ALONE}
    together = dict.fromkeys(("when", "how", "other-moments", "itself"), 2)
    assert counts == {"problems-0-2": alone | together, "problems-2-4": alone | together}
    first, second = (json.loads((parts / part / "run.json").read_text())["settings"]["seed"] for part in counts)
    assert first != second  # random numbers of its own


def test_the_other_pieces_keep_their_own_results_where_their_lines_say(pair: Pair, tmp_path: Path) -> None:
    subject = subject_of(pair, tmp_path)
    for measure in (passk_line, likelihood_line, profile_line):
        line = measure(subject, (rung(4, 2),))
        assert (tmp_path / line.folder / "results.json").is_file() and (
            tmp_path / line.folder / "report.html"
        ).is_file()
        assert line.size == "4 problems x 2 responses" and line.findings == ()
        if measure is profile_line:
            continue  # differences need ten problems
        assert any(one.role != "figure" for one in line.readings)
        table = line.table()
        assert table is not None and len(table.draw().data) > 0


def test_what_is_found_of_pass_at_k_depends_on_the_ends_of_its_bands() -> None:
    def found(base: float, thinking: float, n: int = 16) -> tuple[str, ...]:
        rates = [np.full(40, rate) for rate in (base, thinking)]
        result = passk(
            base_counts=rows(0, rates[0], n),
            thinking_counts=rows(1, rates[1], n),
            settings=PasskSettings(n_resamples=200),
        )
        return line_of_passk(result, "40 problems").findings

    assert found(0.2, 0.6) == ("ahead",)
    assert found(0.6, 0.2) == ("behind",)
    assert found(0.4, 0.4) == ()
    assert found(0.0, 0.9) == ("ahead", "out of reach")
    assert found(0.0, 0.9, n=4) == ("ahead",)  # with so few samples nothing is out of reach


def test_lines_are_read_off_results_whatever_their_names_hold() -> None:
    exchanged = line_of_exchange(pair_exchange(0.8), Interval(1.0, 0.9, 1.0, 100), "100 problems")
    assert [one.share.value for one in exchanged.readings[:4]] == [0.8, 0.8, 0.8, -0.1]
    narrow, wide = (one.share for one in exchanged.readings[:2])
    assert wide.low < narrow.low and wide.high > narrow.high and exchanged.verdict is not None
    steered = line_of_hybrid(
        replace(hybrid_result(), pairs=dict([*hybrid_result().pairs.items()][:1])), "5", "hybrid/5"
    )
    assert steered.readings[0].name == "hybrid" and steered.verdict is not None
    assert any(one.role == "control" for one in steered.readings)
    read = line_of_likelihood(likelihood_result(), "5", "likelihood/5")
    assert {one.unit for one in read.readings} == {"nats a token", "distance of behaviours, 0: the same"}
    counted = line_of_profile(profile_result(), "5", "profile/5")
    assert "rates and transitions differ from the base's" in counted.says
    assert line_of_passk(passk_result(), "20").readings[-1].role == "chance"
    swapped = line_of_decisions(decisions_result(), "20", "decisions/20")
    assert [one.role for one in swapped.readings[:4]] == ["figure", *["control"] * 3] and swapped.findings == ()


def test_only_a_trained_organism_beside_its_own_base_has_a_planted_truth(pair: Pair) -> None:
    truth = truth_of_pair(pair)
    assert truth is not None and truth.value > 0.9
    assert truth_of_pair(replace(pair, thinking=pair.base)) is None
    assert truth_of_pair(replace(pair, base=pair.thinking)) is None
    steered = pair.thinking.with_vectors(torch.zeros(pair.thinking.n_layers, pair.thinking.d_model))
    assert truth_of_pair(replace(pair, thinking=steered)) is None


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces that take seconds: an exchange, pass@k, profiles and a piece that cannot be measured."""

    def refuses(subject: Subject, rungs: tuple[Rung, ...]):
        raise InputError("vectors need <b>labels</b>: give some")

    pieces = {
        "exchange": Piece(name="exchange", measure=exchange_line, rungs=(rung(2, order=0), rung(4, order=3))),
        "passk": Piece(name="passk", measure=passk_line, rungs=(rung(4, 2, order=1), rung(4, 4, order=4))),
        "hybrid": Piece(name="hybrid", measure=refuses, rungs=(rung(2, order=2),)),
    }
    monkeypatch.setattr("reasonlens.pairs.verdict.pieces.PIECES", pieces)


def test_a_verdict_is_written_gone_on_with_and_refused_with_other_settings(
    pair: Pair, small_pieces: None, tmp_path: Path
) -> None:
    quick = replace(SHORT, budget_seconds=1e-6)
    first = verdict(pair=pair, settings=quick, out=tmp_path / "run", progress=False)
    assert [line.piece for line in first.lines] == ["exchange"]  # the trial; then the time is over
    assert first.unmeasured["passk"] == "no size of it fits in the budget"
    (tmp_path / "run" / "looks.json").unlink()  # the result remembers
    resumed = verdict(pair=pair, settings=replace(SHORT, budget_seconds=1e4), out=tmp_path / "run", progress=False)
    at_once = verdict(pair=pair, settings=replace(SHORT, budget_seconds=1e4), progress=False)  # and kept nowhere
    assert resumed.lines[1:] == at_once.lines[1:]
    shares = [[one.share for one in result.lines[0].readings] for result in (resumed, at_once)]
    assert [share.value for share in shares[0]] == [share.value for share in shares[1]]
    assert all(one.low <= other.low and other.high <= one.high for one, other in zip(*shares, strict=True))
    looks = [[(look.n_problems, look.level) for look in result.looks] for result in (first, resumed, at_once)]
    assert looks == [[(2, 0.975)], [(2, 0.975), (4, 0.9875)], [(4, 0.975)]]
    assert (resumed.lines[0].level, at_once.lines[0].level) == (0.9875, 0.975)
    again = verdict(pair=pair, settings=replace(SHORT, budget_seconds=1e4), out=tmp_path / "run", progress=False)
    assert again.looks == resumed.looks and again.lines == resumed.lines  # nothing more was exchanged: no look
    assert resumed.unmeasured == {"hybrid": "vectors need <b>labels</b>: give some"}
    assert resumed.line("passk").size == "4 problems x 4 responses"
    with pytest.raises(InputError, match="no line of 'hybrid' .vectors need"):
        resumed.line("hybrid")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Look 2 at this pair (problems exchanged: 2, 4)" in page and "98.75% interval over problems" in page
    assert "vectors need &lt;b&gt;labels&lt;/b&gt;" in page and 'href="exchange/report.html"' in page
    assert (tmp_path / "run" / "exchange" / "report.html").is_file()
    with pytest.raises(InputError, match="holds another run"):
        verdict(pair=pair, settings=replace(SHORT, seed=7), out=tmp_path / "run", progress=False)


def test_a_pair_without_labels_is_told_so_and_not_called_how(pair: Pair, small_pieces: None) -> None:
    def blind(prompt: str, text: str) -> list[Span]:
        return []

    result = verdict(pair=replace(pair, annotator=blind), settings=replace(SHORT, budget_seconds=1e-6), progress=False)
    assert result.line("exchange").findings == ("unlabelled",)


def test_what_is_no_pair_is_refused(pair: Pair) -> None:
    with pytest.raises(InputError, match="pair takes a reasonlens.Pair"):
        verdict(pair="organism/rl-timing")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="need problems to solve"):
        verdict("smollm2-135m", "smollm2-135m")
    assert isinstance(pair.base, LanguageModel)
