"""What commands print."""

from __future__ import annotations

import pytest

from reasonlens.cli.console import print_table


def test_a_table_that_is_piped_loses_no_column_and_breaks_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [f"0.{number}94 [0.990, 0.998]" for number in range(9)]
    print_table(("behaviour", *"abcdefghi"), [("uncertainty-estimation", *numbers), ("x" * 200, *numbers)])
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "uncertainty-estimation" in line]
    assert all(number in line for number in numbers)
    assert max(map(len, lines)) < 450, "a name without end is folded, at 60 columns"
