"""`locate` with the sites of one behaviour side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reasonlens import InputError, LocateSettings, collect, locate
from reasonlens.analysis.location import Location
from reasonlens.models import LanguageModel
from reasonlens.probes import sweep
from reasonlens.traces import Trace

QUICK = LocateSettings(
    n_folds=3,
    n_bootstrap=20,
    n_shuffles=1,
    n_permutations=1,
    penalties=(0.01,),
    next_behaviour=False,
    injection=False,
    layers=(0, 2),
    behaviours=("backtracking",),
    sites_of="backtracking",
)


def test_each_site_is_what_it_is_alone_and_the_rest_of_the_result_does_not_change(
    tiny: Callable[..., LanguageModel], traces: list[Trace], tmp_path: Path
) -> None:
    model = tiny()
    located = locate(model, traces, settings=QUICK, out=tmp_path / "run", progress=False)
    assert list(located.sites["site"].unique()) == [
        *("hook_resid_pre", "hook_attn_out", "hook_resid_mid", "hook_mlp_out", "hook_out")
    ]
    options = {"n_folds": 3, "n_bootstrap": 20, "n_shuffles": 1, "n_permutations": 1, "penalties": (0.01,)}
    for site in ("hook_mlp_out", "hook_out"):
        alone = collect(model, traces, layers=(0, 2), sites=site, progress=False)
        expected = sweep(alone, behaviours=["backtracking"], progress=False, **options)["backtracking"].auroc
        rows = located.sites[located.sites["site"] == site]
        assert rows["value"].tolist() == [auroc.value for auroc in expected]
    figure = located.figures()["sites"]
    assert list(figure.data[0].y) == list(located.sites["site"].unique()) and "attn" in located.report()
    content = json.loads((tmp_path / "run" / "results.json").read_text())
    assert json.loads(json.dumps(Location.from_dict(content).to_dict())) == content
    plain = locate(model, traces, settings=replace(QUICK, sites_of=None), progress=False).to_dict()
    assert plain["behaviours"] == located.to_dict()["behaviours"] and plain["sites"] == []


def test_a_site_that_the_model_lacks_is_left_out_with_a_note(
    tiny: Callable[..., LanguageModel], traces: list[Trace], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="reasonlens"):
        located = locate(tiny("phi"), traces, settings=QUICK, progress=False)
    assert "hook_resid_mid" not in set(located.sites["site"]) and len(set(located.sites["site"])) == 4
    assert "left out of the sites: block 0 of tiny-phi has no site hook_resid_mid" in caplog.text


def test_a_behaviour_that_no_span_shows_is_refused(tiny: Callable[..., LanguageModel], traces: list[Trace]) -> None:
    with pytest.raises(InputError, match="'deduction' is not among the behaviours that are probed"):
        locate(tiny(), traces, settings=replace(QUICK, sites_of="deduction"), progress=False)
    with pytest.raises(InputError, match="no span is labelled 'dreaming'"):
        locate(tiny(), traces, settings=replace(QUICK, sites_of="dreaming"), progress=False)
