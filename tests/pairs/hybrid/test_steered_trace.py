"""A response of a hybrid as a table and as coloured text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reasonlens.figures import FigureTable, Result
from reasonlens.figures.steered import legend
from reasonlens.models import LanguageModel, load
from reasonlens.pairs.hybrid import RowRecord, SteeredTrace
from reasonlens.rundir import InputError


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load("organism/base-timing", device="cpu")


def trace(model: LanguageModel, **options: object) -> SteeredTrace:
    ids = {word: model.tokenizer.encode(f" {word}", add_special_tokens=False)[-1] for word in ("take", "see", "well")}
    take, see, well = ids["take"], ids["see"], ids["well"]
    record = RowRecord(
        text="",
        tokens=(take, see, well, see),
        base=(take, take, take, see),
        thinking=(take, see, well, well),
        base_likeliest=(take, take, take, see),
        thinking_likeliest=(take, see, well, well),
        gated=(False, True, True, True),
        behaviour=(-1, -1, 1, 0),
        strength=(0.0, 0.0, 0.5, 0.25),
        kl_nats=(0.0,) * 4,
        base_logprob=(-0.1, -2.0, -3.5, -0.2),
        thinking_logprob=(-0.1, -0.3, None, -4.0),
        is_truncated=True,
    )
    return SteeredTrace.of(
        model, record, **({"question": "which?", "behaviours": ("deduction", "backtracking")} | options)
    )


def test_the_table_says_at_each_token_who_would_have_said_what(model: LanguageModel) -> None:
    frame = trace(model).to_frame()
    assert [text.strip() for text in frame["token"]] == ["take", "see", "well", "see"]
    assert [text.strip() for text in frame["base_token"]] == ["take", "take", "take", "see"]
    assert [text.strip() for text in frame["thinking_token"]] == ["take", "see", "well", "well"]
    assert frame["behaviour"].tolist() == ["", "", "backtracking", "deduction"]
    assert frame["strength"].tolist() == [0.0, 0.0, 0.5, 0.25]
    assert frame["base_logprob"].tolist() == [-0.1, -2.0, -3.5, -0.2]
    assert frame["thinking_logprob"].isna().tolist() == [False, False, True, False]


def test_colours_tell_what_was_changed_what_stayed_and_what_was_taken_over(model: LanguageModel) -> None:
    shown = trace(model)._repr_html_()
    marks = re.findall(r'<span class="(k\d) (rl-\w+)" title="[^"]*">([^<]*)</span>', shown)
    assert [(mark, kind, text.strip()) for mark, kind, text in marks] == [
        ("k8", "rl-changed", "see"),  # taken over
        ("k1", "rl-changed", "well"),
        ("k0", "rl-stayed", "see"),
    ]
    assert "backtracking, strength 0.5; base: " in shown and "base -3.50" in shown
    key = legend(trace(model).to_frame(), trace(model).colour_order())
    assert "backtracking" in key and "deduction" in key and "another token than the" in key


def test_tokens_that_both_models_would_say_are_left_uncoloured_where_all_are_taken_over(model: LanguageModel) -> None:
    record = trace(model).record
    always = RowRecord(
        **{
            **{name: getattr(record, name) for name in record.__slots__},
            "gated": (True,) * 4,
            "behaviour": (-1,) * 4,
        }
    )
    shown = SteeredTrace.of(model, always)._repr_html_()
    assert shown.count('rl-changed" title') == 2 and 'rl-stayed" title' not in shown


def test_a_page_opens_offline_runs_its_own_script_alone_and_escapes_text(model: LanguageModel, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    page = trace(model, question=hostile, arm=hostile, behaviours=(hostile, hostile)).to_html(tmp_path / "t.html")
    assert (tmp_path / "t.html").read_text("utf-8") == page
    assert hostile not in page and "&lt;script&gt;" in page and "default-src 'none'" in page


def test_half_a_character_goes_with_the_token_that_ends_it() -> None:
    class Bytes:
        """A tokenizer whose tokens are bytes."""

        def decode(self, ids: list[int], **_: object) -> str:
            return bytes(ids).decode("utf-8", "replace")

    class Model:
        tokenizer = Bytes()

    said = tuple("a→b".encode())
    n = len(said)
    record = RowRecord(
        text="a→b",
        tokens=said,
        base=said,
        thinking=said,
        base_likeliest=said,
        thinking_likeliest=said,
        gated=(False,) * n,
        behaviour=(-1,) * n,
        strength=(0.0,) * n,
        kl_nats=(0.0,) * n,
        base_logprob=(0.0,) * n,
        thinking_logprob=(0.0,) * n,
        is_truncated=False,
    )
    pieces = SteeredTrace.of(Model(), record).pieces
    assert pieces == ("a", "", "", "→", "b")


def test_a_trace_is_drawn_written_and_read_back(model: LanguageModel, tmp_path: Path) -> None:
    one = trace(model)
    figure = one.figure()
    assert [line.name for line in figure.data] == [
        *("base", "thinking model", "backtracking", "deduction", "gate open, not steered"),
    ]
    assert figure.data[0].y == (-0.1, -2.0, -3.5, -0.2) and figure.data[2].x == (2,)
    one.write(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"results.json", "table.csv", "tables", "report.html"}
    again = SteeredTrace.from_dict(json.loads((tmp_path / "results.json").read_text("utf-8")))
    assert again.record == one.record and again._repr_html_() == one._repr_html_() and repr(again) == repr(one)
    assert FigureTable.from_dict(json.loads((tmp_path / "tables" / "log_probabilities.json").read_text())).draw()
    assert isinstance(one, Result)
    with pytest.raises(InputError, match="this is no reasonlens.steered-trace/3, its format is .other."):
        SteeredTrace.from_dict({"format": "other"})


def test_a_response_without_a_token_has_no_figure(model: LanguageModel) -> None:
    empty: dict[str, Any] = dict.fromkeys(
        (
            *("tokens", "base", "thinking", "base_likeliest", "thinking_likeliest", "gated", "behaviour", "strength"),
            *("kl_nats", "base_logprob", "thinking_logprob"),
        ),
        (),
    )
    one = SteeredTrace.of(model, RowRecord(text="", is_truncated=True, **empty))
    assert one.figures() == {} and one.to_frame().empty
    with pytest.raises(InputError, match="has no token to draw"):
        one.figure()
