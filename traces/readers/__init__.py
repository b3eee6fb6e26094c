"""Read traces from the files of other tools: one function for each form, chosen by what a file holds."""

from .forms import FILE_FORMS, JSON_FORMS, ROW_FORMS, file_rows, form_of_file, numbered_traces, row_traces

__all__ = ["FILE_FORMS", "JSON_FORMS", "ROW_FORMS", "file_rows", "form_of_file", "numbered_traces", "row_traces"]
