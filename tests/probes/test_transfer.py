from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from reasonlens import InputError
from reasonlens.probes import sweep, transfer
from reasonlens.probes._transfer import _folds

from .test_sweep import activations_of

QUICK = {"n_bootstrap": 100, "penalties": [0.01, 0.1], "progress": False}
LABELS = ["a" if n % 3 == 0 else "b" for n in range(300)]
PROBLEMS = [n // 10 for n in range(300)]


def source(dimension: int, seed: int, shift: float = 0.0):
    """`a` lies along one dimension at layer 1; every problem has a place of its own."""
    generator = torch.Generator().manual_seed(seed)
    acts = torch.randn(300, 2, 20, generator=generator) + torch.randn(30, 2, 20, generator=generator)[PROBLEMS] + shift
    acts[:, 1, dimension] += 3 * torch.tensor([label == "a" for label in LABELS])
    return activations_of(acts, LABELS, PROBLEMS)


def test_what_is_shared_transfers_and_what_is_not_does_not() -> None:
    found = transfer({"one": source(0, 1), "same": source(0, 2, shift=5.0), "other": source(7, 3)}, **QUICK)
    assert found.behaviours == ("a", "b")
    cells = {(trained, tested): cell for (trained, tested, name), cell in found.cells.items() if name == "a"}
    for pair in (("one", "one"), ("one", "same"), ("same", "one"), ("other", "other")):
        assert cells[pair].auroc.low > 0.7
    for pair in (("one", "other"), ("other", "same")):
        assert cells[pair].auroc.low < 0.55
    assert len(found.to_frame()) == 18 and len(found.to_dict()["cells"][0]["by_layer"]) == 2


def test_the_diagonal_is_ordinary_nested_cross_validation() -> None:
    one, other = source(0, 1), source(0, 2)
    found = transfer({"one": one, "other": other}, behaviours=["a"], **QUICK).cells["one", "one", "a"]
    folds = _folds([one, other], ["a"], 5, 0)[0]
    alone = sweep(one, behaviours=["a"], n_permutations=1, **QUICK)
    assert alone.behaviours["a"].nested.auroc.value == pytest.approx(found.auroc.value, abs=0.03)  # other folds
    assert len(set(folds)) == 5


def test_a_problem_of_two_sources_is_in_one_fold_of_both() -> None:
    one, other = source(0, 1), source(0, 2)
    first, second = _folds([one, other], ["a", "b"], 5, 0)
    assert (first == second).all()


def test_the_identity_of_shared_problems_does_not_leak_from_one_source_to_the_other() -> None:
    """Both sources hold the same problems at the same places, each problem with one label only."""
    generator = torch.Generator().manual_seed(0)
    labels = ["a" if problem % 2 else "b" for problem in PROBLEMS]
    places = 4 * torch.randn(30, 1, 40, generator=generator)[PROBLEMS]
    made = [activations_of(places + torch.randn(300, 1, 40, generator=generator), labels, PROBLEMS) for _ in range(2)]
    found = transfer({"base": made[0], "thinking": made[1]}, behaviours=["a"], **QUICK)
    for cell in found.cells.values():
        assert cell.auroc.low < 0.5 < cell.auroc.high


def test_sources_that_cannot_be_compared_are_named() -> None:
    one = source(0, 1)
    narrow = replace(one, values=one.values[:, :, :5])
    with pytest.raises(InputError, match="b was read at layers .* of width 5, and a at .* of width 20"):
        transfer({"a": one, "b": narrow}, **QUICK)
    with pytest.raises(InputError, match="at least two sources"):
        transfer({"a": one}, **QUICK)
    renamed = replace(one, examples=tuple(replace(each, label=f"x{each.label}") for each in one.examples))
    with pytest.raises(InputError, match="no behaviour is in at least 5 problems of every source"):
        transfer({"a": one, "b": renamed}, **QUICK)
    assert np.isfinite(transfer({"a": one, "b": one}, **QUICK).to_frame()["auroc"]).all()


def test_intervals_have_a_bar_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    """The probes are fitted in a part of the time only: 100% of them is not the end."""
    one = source(0, 1)
    transfer({"one": one, "two": source(0, 2)}, **(QUICK | {"progress": True}))
    assert re.search(r"intervals: 100%.* 4/4 ", capsys.readouterr().err)
    sweep(one, n_folds=3, n_bootstrap=20, n_shuffles=1, n_permutations=19, progress=True)
    assert re.search(r"intervals and controls: 100%.* 2/2 ", capsys.readouterr().err)
