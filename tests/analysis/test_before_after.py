"""Before and after: planted wrong labels are undone, where all is stable nothing changes, and references agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cosine_similarity

from reasonlens import (
    InputError,
    Span,
    Trace,
    collect,
    mean_difference_directions,
)
from reasonlens.analysis.before_after import compare_before_after
from reasonlens.analysis.boundaries import sample_boundaries
from reasonlens.analysis.boundary import Boundary
from reasonlens.analysis.stability_result import Stability
from reasonlens.analysis.training_subset import as_many, held_out_scores, subset_aurocs
from reasonlens.models import LanguageModel
from reasonlens.organisms import organism_annotator, organisms_traces

RL = "organism/rl-timing"
QUICK = {"layers": [1], "n_folds": 3, "n_bootstrap": 200, "progress": False}


def judged(traces: list[Trace], is_stable: Callable[[int, Span], bool]) -> Stability:
    """Every span sampled twice; it returned both times where `is_stable` (number of the trace, span) says so."""
    boundaries = [
        Boundary(
            trace=trace.id,
            problem=trace.problem,
            span=place,
            label=span.label,
            is_seen=True,
            found=(span.label if is_stable(number, span) else None,) * 2,
            said=("", ""),
        )
        for number, trace in enumerate(traces)
        for place, span in enumerate(trace.spans)
    ]
    return Stability(boundaries=tuple(boundaries), traces=tuple(traces), model={}, settings={"n_samples": 2})


@pytest.mark.long
def test_wrong_labels_that_were_planted_do_not_return_and_the_direction_without_them_is_the_true_one() -> None:
    right = organisms_traces(RL, 36, seed=2)
    coin = np.random.default_rng(0)

    def spoilt(span: Span) -> Span:
        return replace(span, label="backtracking") if span.label == "example-testing" and coin.random() < 0.6 else span

    wrong = [replace(trace, spans=tuple(map(spoilt, trace.spans))) for trace in right]
    stability = sample_boundaries(
        RL, wrong, n_samples=2, max_new_tokens=12, annotator=organism_annotator, progress=False
    )
    found = compare_before_after(RL, stability, **QUICK)
    truth = mean_difference_directions(collect(RL, right, layers=[1], progress=False))
    before, after = (
        float(cosine_similarity(truth.at("backtracking", 1), each.at("backtracking", 1), dim=0))
        for each in (found.before, found.after)
    )
    row = found.to_frame().set_index("behaviour").loc["backtracking"]
    assert 1 - after < 0.1 * (1 - before)
    assert row["cosine"] < row["cosine_random_low"]  # as many random spans turn it less
    assert row["norm_after"] > 1.2 * row["norm_before"] and row["n_after"] < 0.8 * row["n_before"]
    assert row["auroc_after"] > 0.99 and row["auroc_after_on_all"] < 0.95  # the wrong labels cannot be told
    assert "stable at 0.5 of 2" in found.after.method and found.after.data_digest != found.before.data_digest


def test_where_everything_is_stable_nothing_changes(tiny: Callable[..., LanguageModel], traces: list[Trace]) -> None:
    found = compare_before_after(tiny(), judged(traces, lambda *_: True), **{**QUICK, "layers": None})
    table = found.to_frame()
    assert table["layer"].tolist() == [0, 1, 2] * 3 and not found.notes
    assert table["behaviour"].tolist() == [n for n in ("deduction", "backtracking", "verification") for _ in range(3)]
    for column in ("cosine", "cosine_random"):
        assert np.allclose(table[column], 1.0)
    assert (table["auroc_gain"] == 0).all() and (table["auroc_gain_high"] == 0).all()
    for column in ("auroc_after", "auroc_random", "auroc_before_on_all", "auroc_after_on_all"):
        assert np.allclose(table[column], table["auroc_before"])
    assert (
        (table["n_before"] == 24).all() and (table["n_after"] == 24).all() and (table["n_problems_after"] == 12).all()
    )
    for name in found.before.behaviours:
        assert torch.equal(found.before.vectors[name], found.after.vectors[name])


def test_stable_spans_chosen_at_random_gain_nothing_beyond_the_control(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    coin = np.random.default_rng(1)
    found = compare_before_after(tiny(), judged(traces, lambda *_: coin.random() < 0.6), **{**QUICK, "n_random": 20})
    for row in found.rows:
        spread = row["cosine_random_high"] - row["cosine_random_low"]
        assert row["cosine_random_low"] - spread < row["cosine"] < row["cosine_random_high"] + spread
        assert row["auroc_gain_low"] <= 0.1 and row["auroc_gain_high"] >= -0.1


def test_behaviours_with_too_few_stable_spans_get_a_note_and_the_others_their_figures(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    rules = {"backtracking": 0, "verification": 2, "deduction": 12}  # in how many traces the behaviour is stable
    found = compare_before_after(tiny(), judged(traces, lambda number, span: number < rules[span.label]), **QUICK)
    table = found.to_frame().set_index("behaviour")
    assert found.notes == {
        "backtracking": "none of its 24 spans is stable: no direction, no probe",
        "verification": "its 4 stable spans lie in 2 problems, too few for 3 folds: no probe",
        "deduction": "the others' 4 stable spans lie in 2 problems, too few for 3 folds: no probe",
    }
    assert table["note"].to_dict() == found.notes and table["auroc_after"].isna().all()
    assert found.after.behaviours == ("deduction", "verification")
    assert np.isnan(table.loc["backtracking", "cosine"]) and not np.isnan(table.loc["backtracking", "norm_before"])
    assert 0 < table.loc["verification", "cosine"] < 1
    rules |= {"backtracking": 5}
    table = compare_before_after(
        tiny(), judged(traces, lambda number, span: number < rules[span.label]), **QUICK
    ).to_frame()
    assert table.set_index("behaviour")["auroc_after"].notna().to_dict() == {
        "backtracking": True,
        "verification": False,
        "deduction": True,
    }


def test_one_stable_behaviour_alone_and_none_at_all_are_notes_too(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    alone = compare_before_after(tiny(), judged(traces, lambda _, span: span.label == "deduction"), **QUICK)
    assert alone.notes["deduction"] == "no span of another behaviour is stable: no direction, no probe"
    assert alone.after.behaviours == () and alone.to_frame()["cosine"].isna().all()
    nothing = compare_before_after(tiny(), judged(traces, lambda *_: False), **QUICK)
    assert all(note.startswith("none of its 24 spans is stable") for note in nothing.notes.values())


def test_spans_of_behaviours_that_were_not_sampled_serve_as_negatives_before_and_after(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    whole = judged(traces, lambda number, _: number % 2 == 0)
    only = replace(whole, boundaries=tuple(each for each in whole.boundaries if each.label == "deduction"))
    found = compare_before_after(tiny(), only, **QUICK)
    assert [row["behaviour"] for row in found.rows] == ["deduction"]
    assert found.after.n_examples == {"deduction": 12, "backtracking": 24, "verification": 24}


def test_held_out_scores_are_those_of_scikit_learn_trained_on_the_kept_examples_of_other_folds() -> None:
    generator = np.random.default_rng(0)
    acts = generator.normal(size=(90, 6)) * np.arange(1, 7)
    shows = np.stack([acts[:, 0] + generator.normal(size=90) > 0, generator.random(90) < 0.3])
    folds, kept = np.arange(90) % 3, generator.random(90) < 0.7
    found = held_out_scores(acts, shows, folds, kept)
    for fold in range(3):
        train, test = kept & (folds != fold), folds == fold
        for index in range(2):
            reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, tol=1e-8))
            reference.fit(acts[train], shows[index][train])
            np.testing.assert_allclose(found[index, test], reference.decision_function(acts[test]), atol=1e-4)


def test_the_control_draws_as_many_of_each_label_and_fold_as_are_stable() -> None:
    generator = np.random.default_rng(0)
    labels, folds, stable = generator.choice(["a", "b"], 80), np.arange(80) % 4, generator.random(80) < 0.4
    first, second = (as_many(labels, folds, stable, generator) for _ in range(2))
    for label in ("a", "b"):
        for fold in range(4):
            cell = (labels == label) & (folds == fold)
            assert first[cell].sum() == second[cell].sum() == stable[cell].sum()
    assert (first != second).any() and (first != stable).any()


def test_figures_are_aurocs_inside_the_fold_on_the_spans_they_name() -> None:
    generator = np.random.default_rng(0)
    positive, stable = generator.random(60) < 0.4, generator.random(60) < 0.6
    scores = [positive + generator.normal(size=60) for _ in range(4)]
    problems, one_fold = np.arange(60) % 20, np.zeros(60, dtype=np.int64)
    found = subset_aurocs(scores, positive, stable, problems, one_fold, np.ones((3, 20)))
    on_stable = [float(roc_auc_score(positive[stable], each[stable])) for each in scores]
    assert found["auroc_before"] == pytest.approx(on_stable[0]) == pytest.approx(found["auroc_before_low"])
    assert found["auroc_after"] == pytest.approx(on_stable[1])
    assert found["auroc_gain"] == pytest.approx(on_stable[1] - on_stable[0]) == pytest.approx(found["auroc_gain_high"])
    assert found["auroc_before_on_all"] == pytest.approx(roc_auc_score(positive, scores[0]))
    assert found["auroc_after_on_all"] == pytest.approx(roc_auc_score(positive, scores[1]))
    assert found["auroc_random"] == pytest.approx(np.mean(on_stable[2:]))
    assert (found["auroc_random_low"], found["auroc_random_high"]) == pytest.approx(
        (min(on_stable[2:]), max(on_stable[2:]))
    )


def test_the_seed_decides(tiny: Callable[..., LanguageModel], traces: list[Trace]) -> None:
    stability = judged(traces, lambda number, span: (number + span.start) % 3 > 0)
    first, again, other = (compare_before_after(tiny(), stability, **QUICK, seed=seed) for seed in (0, 0, 1))
    assert first.rows == again.rows != other.rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "a threshold is a share"),
        ({"layers": [7]}, "layer 7 does not exist"),
        ({"read": "middle"}, "read"),
        ({"n_random": 0}, "intervals and controls need at least one"),
        ({"n_bootstrap": 0}, "intervals and controls need at least one"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    options: dict[str, object], message: str, tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    with pytest.raises(InputError, match=message):
        compare_before_after(tiny(), judged(traces, lambda *_: True), **{**QUICK, **options})
