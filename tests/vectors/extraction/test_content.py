from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from reasonlens import Activations, InputError, mean_difference_directions
from reasonlens.vectors.extraction import project_out_content
from reasonlens.vectors.extraction.content import content_bases, problem_effects
from reasonlens.vectors.extraction.sample import integer_codes


def test_planted_content_is_removed_and_the_behaviour_outside_it_is_kept(planted) -> None:
    """Content of two dimensions, and more of the behaviour where the first is positive: the mean difference has it."""
    activations, truth = planted(n_problems=150, strength=2.0, content=6.0, confounded=True)
    plain = mean_difference_directions(activations)
    found = project_out_content(plain, activations, n_components=2)
    outside = truth.clone()
    outside[:, :2] = 0
    assert plain.vectors["backtracking"][:, :2].norm(dim=1).min() > 3, "content"
    assert found.vectors["backtracking"][:, :2].norm(dim=1).max() < 0.3
    assert cosine_similarity(found.vectors["backtracking"], outside, dim=-1).min() > 0.97
    assert found.vectors["backtracking"].norm(dim=1).numpy() == pytest.approx(
        2 * outside.norm(dim=1).numpy(), rel=0.1
    ), "no less of it"
    removed = found.scores["backtracking"]["content_removed"]
    kept = found.vectors["backtracking"].square().sum(1) / plain.vectors["backtracking"].square().sum(1)
    assert removed == pytest.approx((1 - kept).tolist(), abs=1e-5) and min(removed) > 0.7
    assert found.method == ("mean difference against others; without 2 leading directions between problems (content)")


def test_how_often_a_problem_shows_the_behaviour_is_not_its_content(planted) -> None:
    """Problems that differ in nothing but that would, by their plain means, give the behaviour as content."""
    activations, truth = planted(n_problems=150, strength=8.0, content=1e-6, confounded=True, layers=(0,))
    (basis,) = content_bases(activations, (0,), 1)
    assert abs(float(basis[:, 0] @ truth[0].double())) < 0.5
    problem = np.array(activations.problems)
    means = np.stack([activations.layer(0)[problem == each].mean(0).numpy() for each in sorted(set(problem))])
    plain = np.linalg.svd(means - means.mean(0), full_matrices=False)[2][0]
    assert abs(plain @ truth[0].numpy()) > 0.95, "the plain means"


def test_effects_are_those_of_a_least_squares_fit_with_a_column_each(planted) -> None:
    activations, _ = planted(n_problems=12, per_problem=7, content=2.0, layers=(0,))
    label, problem = integer_codes(activations.labels), integer_codes(activations.problems)
    content, n_spans = problem_effects(activations.layer(0), label, problem)
    columns = np.concatenate([np.eye(12)[problem.numpy()], np.eye(3)[label.numpy()]], axis=1)
    fitted = np.linalg.lstsq(columns, activations.layer(0).double().numpy(), rcond=None)[0][:12]
    np.testing.assert_allclose(content - content.mean(0), fitted - fitted.mean(0), atol=1e-9)
    assert n_spans.tolist() == [7] * 12


def test_a_share_of_the_variance_removes_as_many_as_hold_it(planted) -> None:
    activations, _ = planted(n_problems=100, content=20.0)
    directions = mean_difference_directions(activations)
    found = project_out_content(directions, activations, n_components=0.9)
    assert found.scores["doubt"]["content_components"] == [2.0, 2.0]
    assert "90% of the variance" in found.method


def test_activations_of_questions_alone_give_their_principal_directions(planted) -> None:
    """One span a problem and one label: the form of the paper."""
    activations, _ = planted(n_problems=40, per_problem=1, content=5.0, layers=(0,))
    questions = replace(activations, examples=tuple(replace(each, label="question") for each in activations.examples))
    (basis,) = content_bases(questions, (0,), 4)
    acts = activations.layer(0).double().numpy()
    axes = np.linalg.svd(acts - acts.mean(0), full_matrices=False)[2][:4]
    np.testing.assert_allclose((basis @ basis.T).numpy(), axes.T @ axes, atol=1e-9)


def test_directions_keep_what_they_were(planted) -> None:
    activations, _ = planted()
    directions = mean_difference_directions(activations, scores={"doubt": {"auroc": [0.6, 0.7]}})
    found = project_out_content(directions, activations, n_components=1)
    assert found.scores["doubt"]["auroc"] == [0.6, 0.7] and "content_removed" not in directions.scores["doubt"]
    assert (found.layers, found.n_examples, found.read) == (directions.layers, directions.n_examples, "before:1")


def test_what_cannot_be_removed_is_said(planted) -> None:
    activations, _ = planted(n_problems=5)
    directions = mean_difference_directions(activations)
    for wrong, message in (
        (0, "counted .4. or a share of the variance .0.5., and 0 is neither"),
        (1.5, "and 1.5 is neither"),
        (5, "5 content components cannot be told from 5 problems; ask for at most 4"),
    ):
        with pytest.raises(InputError, match=message):
            project_out_content(directions, activations, n_components=wrong)
    narrow = Activations(**{**vars(activations), "overall_mean": torch.zeros(2, 7)})
    with pytest.raises(InputError, match=r"of different widths \(7, 24\); take activations of the model"):
        project_out_content(directions, narrow)
    with pytest.raises(InputError, match="layer 9 was not collected"):
        project_out_content(replace(directions, layers=(0, 9)), activations)
