"""Read traces from the files of other tools: one function for each form, chosen by what a file holds."""

from .forms import FILE_FORMS, ROW_FORMS, file_rows, numbered_traces, row_traces

__all__ = ["FILE_FORMS", "ROW_FORMS", "file_rows", "numbered_traces", "row_traces"]
