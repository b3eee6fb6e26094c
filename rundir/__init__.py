"""Keep runs on disk: locked directories that resume, logs that survive a kill, atomic files, and errors for users."""

from .arguments import (
    entry_of,
    members_of,
    names_of,
    number_between,
    seed_of,
    settings_of,
    text_of,
    truth_of,
    whole_number,
)
from .atomic import atomic_path, write_csv, write_json, write_text
from .brevity import brief, listed, looked_at, printable, shown
from .columns import columns_of, from_row, to_row
from .comparison import callable_name, differences, different_fields, plain
from .digests import content_digest, directory_digest, file_digest, tensors_digest
from .errors import InputError, refusal, writing
from .lock import only_writer_of
from .names import ByBehaviour, did_you_mean, nearest_file
from .places import expanded, is_there, short_name
from .readers import check_kinds, parse_json, read_description, read_json, reading, restoring
from .row_log import RowLog
from .run_directory import RunDirectory

__all__ = [
    "brief",
    "listed",
    "looked_at",
    "printable",
    "shown",
    "entry_of",
    "members_of",
    "names_of",
    "number_between",
    "seed_of",
    "settings_of",
    "text_of",
    "truth_of",
    "whole_number",
    "ByBehaviour",
    "did_you_mean",
    "nearest_file",
    "InputError",
    "RowLog",
    "RunDirectory",
    "atomic_path",
    "check_kinds",
    "callable_name",
    "columns_of",
    "content_digest",
    "different_fields",
    "differences",
    "directory_digest",
    "expanded",
    "file_digest",
    "from_row",
    "is_there",
    "only_writer_of",
    "parse_json",
    "plain",
    "read_description",
    "read_json",
    "reading",
    "refusal",
    "restoring",
    "short_name",
    "tensors_digest",
    "to_row",
    "write_csv",
    "write_json",
    "write_text",
    "writing",
]
