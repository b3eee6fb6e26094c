"""A name that does not exist is answered with the nearest one that does; what holds behaviours is like a dictionary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reasonlens import (
    Directions,
    InputError,
    Moments,
    Read,
    collect,
    directions,
    locate,
    mean_difference_directions,
    read_traces,
    sweep,
    write_traces,
)
from reasonlens.analysis import LocateSettings
from reasonlens.rundir import did_you_mean, nearest_file
from reasonlens.vectors.formats import format_named

QUICK = {"n_folds": 3, "n_bootstrap": 10, "n_shuffles": 1, "n_permutations": 2, "progress": False}


def test_the_nearest_name_number_or_file_is_named_and_nothing_where_none_is_near(tmp_path: Path) -> None:
    names = ("backtracking", "deduction", "verification")
    assert did_you_mean("backtrackin", names) == " Did you mean 'backtracking'?"
    assert did_you_mean("Deduction", names) == " Did you mean 'deduction'?"
    assert did_you_mean("xyzzy", names) == "" and did_you_mean("a", ()) == ""
    assert did_you_mean(7, (0, 5, 12)) == " Did you mean 5?" and did_you_mean(3, ()) == ""
    (tmp_path / "traces.jsonl").touch()
    assert nearest_file(tmp_path / "tracs.jsonl").endswith("traces.jsonl'?")
    assert nearest_file(tmp_path / "traces.jsonl") == nearest_file(tmp_path / "other") == nearest_file("/no/x/y") == ""
    assert nearest_file("a\0b") == ""


def test_every_place_that_takes_a_name_names_the_nearest(tiny, traces, tmp_path: Path) -> None:
    activations = collect(tiny(), traces, layers=[0, 2], progress=False)
    found, swept = mean_difference_directions(activations), sweep(activations, **QUICK)
    probes = swept.probes()
    write_traces(traces, tmp_path / "traces.jsonl")
    found.save(tmp_path / "vectors.safetensors")
    calls = [
        (lambda: found["deducton"], "'deduction'"),
        (lambda: found.at("deduction", 3), "2"),
        (lambda: activations.shows("deducton"), "'deduction'"),
        (lambda: activations.layer(1), "[02]"),
        (lambda: Moments.of(activations).of_label("deducton"), "'deduction'"),
        (lambda: swept["deducton"], "'deduction'"),
        (lambda: swept.best_layer("deducton"), "'deduction'"),
        (lambda: swept.selectivity("deduction", "first wrd"), "'first word'"),
        (lambda: probes.layer_of("deducton"), "'deduction'"),
        (lambda: probes.layer_of("deduction", 3), "2"),
        (lambda: directions(activations, behaviours=["deducton"]), "'deduction'"),
        (lambda: directions(activations, layers=[3]), "2"),
        (lambda: directions(activations, method="meandifference"), "'mean-difference'"),
        (lambda: directions(activations, shrinkag=1, method="lda"), "'shrinkage'"),
        (lambda: Read.parse("frist"), "'first'"),
        (lambda: format_named("repng"), "'repeng'"),
        (lambda: locate(tiny(), traces, settings=LocateSettings(behaviours=("deducton",))), "'deduction'"),
        (lambda: read_traces(tmp_path / "trace.jsonl"), r".*traces\.jsonl'"),
        (lambda: Directions.open(tmp_path / "vector.safetensors"), r".*vectors\.safetensors'"),
        (lambda: directions(tmp_path / "vectors.safetensor"), r".*vectors\.safetensors'"),
    ]
    for number, (call, nearest) in enumerate(calls):
        with pytest.raises(InputError, match=rf"Did you mean {nearest}\?"):
            call()
            pytest.fail(f"call {number} raised nothing")


def test_directions_sweeps_and_probes_have_the_manners_of_a_dictionary(tiny, traces) -> None:
    activations = collect(tiny(), traces, layers=[0], progress=False)
    found, swept = mean_difference_directions(activations), sweep(activations, **QUICK)
    for held in (found, swept, swept.probes()):
        names = list(held)
        assert names == list(held.keys()) == [name for name, _ in held.items()] == list(held.behaviours)
        assert len(held) == 3 and "deduction" in held and "deducton" not in held and 3 not in held
    assert all(direction.behaviour == name for name, direction in found.items())
    assert dict(swept.items())["deduction"] is swept["deduction"] is swept.behaviours["deduction"]
    empty = replace(found, vectors={}, n_examples={})
    assert len(empty) == 0 and bool(empty)  # `if directions` asks whether there are any at all, as ever
