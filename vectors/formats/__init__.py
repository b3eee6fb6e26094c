"""Read and write directions in the files of other tools, one module for each format."""

from .check import (
    check_directions,
    check_fits,
    file_name,
)
from .entry import Format
from .exchange import convert, export, exported_at, import_
from .registry import FORMATS, format_named
from .selection import Selection, select
from .snippet_templates import SNIPPETS
from .snippets import snippet

__all__ = [
    "FORMATS",
    "SNIPPETS",
    "Format",
    "Selection",
    "check_directions",
    "check_fits",
    "convert",
    "export",
    "exported_at",
    "file_name",
    "format_named",
    "import_",
    "select",
    "snippet",
]
