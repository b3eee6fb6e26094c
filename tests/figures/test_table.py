"""Figures draw every row of their table and nothing else; a saved table draws the same figure."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reasonlens.figures import FIGURES, FigureTable
from reasonlens.figures import FigureTable as Table

from .conftest import MEASURED, made


def drawn(table: FigureTable) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(table.draw().to_json())
    return content


def numbers_in(value: Any) -> set[float]:
    """Every number in the data of a figure; the ends of error bars are added up."""
    if isinstance(value, dict):
        found = [numbers_in(entry) for entry in value.values()]
        return set().union(*found)
    if isinstance(value, list):
        return set().union(*(numbers_in(entry) for entry in value))
    return {round(float(value), 9)} if isinstance(value, int | float) and not isinstance(value, bool) else set()


def values(table: FigureTable) -> pd.Series:
    rows = table.rows[table.rows["role"] != "end"] if "role" in table.rows else table.rows
    return rows[MEASURED[table.figure]].round(9)


def test_every_figure_has_a_table_here() -> None:
    assert set(MEASURED) == set(FIGURES)


def test_every_row_is_drawn(table: FigureTable) -> None:
    missing = set(values(table)) - numbers_in(drawn(table)["data"])
    assert not missing, f"{table.figure} leaves out {missing}"


def test_a_row_that_is_left_out_of_the_table_is_left_out_of_the_figure(table: FigureTable) -> None:
    place = values(table).index[-1]
    fewer = replace(table, rows=table.rows.drop(index=place))
    assert values(table)[place] in numbers_in(drawn(table)["data"])
    assert values(table)[place] not in numbers_in(drawn(fewer)["data"])


def test_the_order_of_the_columns_and_columns_of_ones_own_change_nothing(table: FigureTable) -> None:
    shuffled = table.rows[[*reversed(table.rows.columns)]].assign(remark="seen twice")
    assert drawn(replace(table, rows=shuffled)) == drawn(table)


def test_title_and_caption_are_those_given(table: FigureTable) -> None:
    title = drawn(table)["layout"]["title"]
    assert (title["text"], title["subtitle"]["text"]) == ("A title", "A caption with n = 3")


def test_a_table_that_went_through_json_draws_the_same_figure(table: FigureTable) -> None:
    again = FigureTable.from_dict(json.loads(json.dumps(table.to_dict(), allow_nan=False)))
    assert drawn(again) == drawn(table)
    assert again.to_dict() == table.to_dict()


def test_a_column_without_a_number_is_read_back_as_numbers() -> None:
    table = made("effect_layers")
    unknown = replace(table, rows=table.rows.assign(auroc=np.nan))
    again = FigureTable.from_dict(json.loads(json.dumps(unknown.to_dict(), allow_nan=False)))
    assert drawn(again) == drawn(unknown) != drawn(table)


def test_a_level_line_is_drawn_across_all_layers() -> None:
    level = made("layer_curves").rows.loc[lambda rows: rows["layer"].isna()].iloc[0]
    lines = [line for line in drawn(made("layer_curves"))["data"] if line["y"] == [level["value"]] * 2]
    assert [line["x"] for line in lines] == [[0.0, 5.0]]


def test_an_arm_without_a_gap_has_no_bar_and_a_pair_without_any_says_so() -> None:
    rows = made("gap_bars").rows
    rows.loc[rows["pair"] == "sft", "gap"] = np.nan
    figure = drawn(replace(made("gap_bars"), rows=rows))
    bars = [trace for trace in figure["data"] if trace["type"] == "bar"]
    assert [bar["y"] for bar in bars] == [["bias", "hybrid"], []]
    assert [note["text"] for note in figure["layout"]["annotations"] if "gap" in note["text"]] == ["no gap to recover"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"figure": "pie"}, "there is no figure 'pie'; there are arm_points, attempt_curves"),
        ({"format": "reasonlens.locate/3"}, "its \"format\" is not 'reasonlens.table/1'"),
        ({"rows": {}}, 'has "columns", "rows" and "options"'),
        ({"rows": [1]}, "a row of the table is no object"),
        ({"rows": []}, "needs at least one row"),
        ({"columns": ["behaviour", "layer"]}, "needs the columns value, low, high, n, is_best"),
        ({"options": {"title": "T"}}, "missing a required argument: 'caption'"),
        ({"options": {"title": "T", "caption": "C", "colour": "red"}}, "got an unexpected keyword argument 'colour'"),
    ],
)
def test_what_is_no_table_of_a_figure_is_said(change: dict[str, Any], message: str) -> None:
    content = made("layer_heatmap").to_dict() | change
    with pytest.raises(ValueError, match=message):
        FigureTable.from_dict(content)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("value", "high", "the column value of the figure layer_heatmap must hold a number in every row"),
        ("value", True, "the column value of the figure layer_heatmap must hold a number"),
        ("behaviour", 3, "the column behaviour of the figure layer_heatmap must hold a text"),
        ("is_best", "no", "the column is_best of the figure layer_heatmap must hold true or false"),
    ],
)
def test_a_column_of_another_type_is_said(column: str, value: object, message: str) -> None:
    content = made("layer_heatmap").to_dict()
    for row in content["rows"]:
        row[column] = value
    with pytest.raises(ValueError, match=message):
        FigureTable.from_dict(content)


def test_two_rows_for_one_cell_are_said() -> None:
    rows = made("cosine_heatmap").rows
    table = Table(
        figure="cosine_heatmap",
        rows=pd.concat([rows, rows.iloc[[1]]], ignore_index=True),
        options={"title": "T", "caption": "C"},
    )
    with pytest.raises(ValueError, match="two rows for the behaviour 'deduction' and the other 'backtracking'"):
        table.draw()


def test_the_documentation_lists_every_figure_with_its_columns() -> None:
    page = (Path(__file__).parents[2] / "docs" / "results.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| [^|]+ \| `(\w+)` \| (.+) \|$", page, flags=re.MULTILINE))
    assert {name: re.sub(r" \([^)]*\)", "", columns).split(", ") for name, columns in listed.items()} == {
        name: list(columns) for name, (_, columns) in FIGURES.items()
    }
