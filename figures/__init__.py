"""Draw figures from tidy tables, computing nothing, and write pages that open offline."""

from .page import frame_table, render, result_page
from .result import Result
from .table import FIGURES, FigureTable, draw_all

__all__ = ["FIGURES", "FigureTable", "Result", "draw_all", "frame_table", "render", "result_page"]
