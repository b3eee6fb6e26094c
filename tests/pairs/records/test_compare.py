"""Two runs side by side: rows are paired by name, differences have the interval of independent estimates."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from reasonlens import InputError, LocateSettings, Trace, VerdictSettings, bundled_traces, compare, locate, read_result
from reasonlens.cli.app import app
from reasonlens.models import LanguageModel
from reasonlens.pairs.records import RunComparison
from reasonlens.pairs.records.settings_of_runs import different_settings
from reasonlens.rundir import RunDirectory
from reasonlens.stats import Interval, difference_of_intervals

from ..decisions.results import decisions_result
from ..dynamics.results import dynamics_result
from ..elicit.results import elicit_result
from ..geometry.results import geometry_result
from ..passk.results import passk_result
from ..profile.results import profile_result
from ..verdict.results import verdict_result

QUICK: dict[str, Any] = {"n_folds": 3, "n_bootstrap": 50, "n_shuffles": 1, "n_permutations": 9, "penalties": (0.01,)}


@pytest.fixture(scope="module")
def located(tiny: Callable[..., LanguageModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    traces: list[Trace] = list(bundled_traces())[:20]
    settings = LocateSettings(**QUICK, injection=False, next_behaviour=False)
    for name in ("llama", "qwen"):
        locate(tiny(name), traces, settings=settings, progress=False).write(place / name)
    return place


def test_probes_of_two_models_are_subtracted_cell_by_cell(located: Path) -> None:
    compared = compare(located / "llama", located / "qwen", measure="auroc")
    frames = {
        name: read_result(located / name).to_frame().set_index(["behaviour", "layer"]) for name in ("llama", "qwen")
    }
    rows = compared.of("auroc")
    assert compared.keys == ("behaviour", "layer") and len(rows) == len(frames["llama"])
    for row in rows.to_dict("records"):
        key = row["behaviour"], row["layer"]
        ours, others = (Interval.from_columns(frames[name].loc[key], "auroc") for name in ("llama", "qwen"))
        expected = difference_of_intervals(ours, others)
        assert (row["difference"], row["difference_low"]) == pytest.approx((expected.value, expected.low), nan_ok=True)
    assert compared.tables()["differences"].figure == "difference_heatmap"
    assert set(compared.to_frame()["measure"]) > {"auroc", "excess"}


def test_a_run_beside_itself_differs_nowhere(located: Path) -> None:
    compared = compare(located / "llama", located / "llama", measure="auroc")
    rows = compared.of("auroc")
    assert (rows["difference"] == 0).all()
    assert not ((rows["difference_low"] > 0) | (rows["difference_high"] < 0)).any()
    assert compared.in_words()[0] == "No setting and no constant that both runs hold differs."
    assert "is above" in compared.in_words()[1] and " in 0 of " in compared.in_words()[1]


@pytest.mark.parametrize(
    ("result", "keys"),
    [
        (decisions_result, {"writer", "figure", "of"}),
        (geometry_result, {"pair", "figure", "of", "layer", "thinking_layer"}),
        (dynamics_result, {"followed", "series", "step"}),
        (elicit_result, {"arm", "role"}),
        (verdict_result, {"piece", "reading", "role"}),
    ],
)
def test_every_kind_of_result_of_a_pair_can_be_compared(
    result: Callable[[], Any], keys: set[str], tmp_path: Path
) -> None:
    for name in ("one", "other"):
        result().write(tmp_path / name)
    compared = compare(tmp_path / "one", tmp_path / "other")
    assert set(compared.keys) >= keys and (compared.of(compared.measure)["difference"].dropna() == 0).all()
    assert compared.n_alone == (0, 0) and compared.figure().data


def test_settings_inputs_and_constants_that_differ_are_listed_first_on_the_page(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("other", 1)):
        with RunDirectory(
            tmp_path / name,
            "verdict",
            settings={"seed": seed, "n_test": 9},
            inputs={"base": f"{name} 0", "problems": "a"},
        ) as run:
            run.record()
            replace(verdict_result(), pair=name, settings=VerdictSettings(seed=seed, n_test=9)).write(tmp_path / name)
    compared = compare(tmp_path / "one", tmp_path / "other")
    assert [(one.name, one.first, one.second) for one in compared.differs] == [
        ("seed", "0", "1"),
        ("inputs.base", "one 0", "other 0"),
    ]
    first = compared.in_words()[0]
    assert first == "The runs differ in (one and other): seed 0 and 1; inputs.base one 0 and other 0."
    page = compared.report()
    assert page.index(first) < page.index("is above") < page.index(">inputs.base</td>") < page.index("</table>")
    assert list(compared.settings_frame()["setting"]) == ["seed", "inputs.base"]
    (tmp_path / "other" / "run.json").unlink()  # then settings are all that both hold
    assert [one.name for one in compare(tmp_path / "one", tmp_path / "other").differs] == ["seed"]


def test_a_model_that_names_all_rows_of_a_run_is_a_constant_that_differs(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    frames = [pd.DataFrame({"model": [name] * 2, "k": [1, 2]}) for name in ("a", "b")]
    (one,) = different_settings(tmp_path, tmp_path, frames, ["model", "k"])
    assert (one.name, one.first, one.second) == ("model", "a", "b")


def test_what_a_run_was_not_given_is_said_so_and_long_values_are_shown_whole(tmp_path: Path) -> None:
    path = "/".join(f"folder-{number}" for number in range(20)) + "/problems.jsonl"
    for name, problems in (("one", None), ("other", path)):
        with RunDirectory(tmp_path / name, "verdict", settings={"seed": 0}, options={"problems": problems}) as run:
            run.record()
            verdict_result().write(tmp_path / name)
    compared = compare(tmp_path / "one", tmp_path / "other")
    assert [(one.first, one.second) for one in compared.differs] == [("not given", path)]
    assert compared.in_words()[0].endswith(f"options.problems not given and {path}.")
    printed = CliRunner().invoke(app, ["compare", str(tmp_path / "one"), str(tmp_path / "other")])
    table = printed.stdout.split("The runs differ in")[0]
    assert "not given" in table and path in "".join(line.strip() for line in table.splitlines())


def test_it_is_written_and_read_back_the_same(located: Path, tmp_path: Path) -> None:
    compared = compare(located / "llama", located / "qwen")
    compared.write(tmp_path / "compared")
    again = read_result(tmp_path / "compared")
    assert isinstance(again, RunComparison)
    assert again.to_dict() == compared.to_dict() == json.loads(json.dumps(compared.to_dict(), allow_nan=False))
    assert (tmp_path / "compared" / "report.html").is_file()


def test_what_cannot_be_paired_is_refused(located: Path, tmp_path: Path) -> None:
    passk_result().write(tmp_path / "passk")
    profile_result().write(tmp_path / "profile")
    with pytest.raises(InputError, match="is a PasskResult and .* a ProfileResult"):
        compare(tmp_path / "passk", tmp_path / "profile")
    with pytest.raises(InputError, match="'aurocs' is no figure .* Did you mean 'auroc'"):
        compare(located / "llama", located / "qwen", measure="aurocs")
    points = compare(tmp_path / "passk", tmp_path / "passk").tables()["differences"]
    assert points.figure == "interval_points"
