"""Read rows from Hugging Face datasets: a directory of `save_to_disk` or of Parquet files, or a name of the hub.

`hf:OWNER/NAME` is a dataset of the hub, `hf:OWNER/NAME:SPLIT` a split other than train, `hf:OWNER/NAME/CONFIGURATION`
one of its configurations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...models.hub import asked_once
from ...rundir import InputError, listed
from ...rundir.errors import short
from .source import RowFile, parsing
from .tables import parquet_rows

HUB = "hf:"
SAVED, SAVED_SPLITS = "state.json", "dataset_dict.json"


def dataset_rows(file: RowFile) -> Iterator[tuple[str, Any]]:
    """Read the rows of a directory that holds a dataset.

    Args:
        file: The directory.

    Yields:
        Where each row stands, and the row.

    Raises:
        InputError: There is no dataset in it, or one of several splits; or `datasets` is missing.
    """
    directory = file.path
    if (directory / SAVED_SPLITS).is_file():
        splits = sorted(place.parent.name for place in directory.glob(f"*/{SAVED}"))
        if len(splits) == 1:
            directory = directory / splits[0]
        else:
            raise InputError(f"{short(directory)} holds several splits ({listed(splits)}): give one, {directory}/SPLIT")
    if (directory / SAVED).is_file():
        yield from _saved_rows(directory)
        return
    parts = sorted(directory.rglob("*.parquet"))
    if not parts:
        raise InputError(
            f"cannot tell what is in the directory {short(directory)}: give a file, or a directory of `save_to_disk` "
            "or of Parquet files"
        )
    if len({_split(part) for part in parts}) > 1:
        raise InputError(
            f"{short(directory)} holds Parquet files of several splits or configurations "
            f"({listed(sorted({_split(part) for part in parts}))}): give one file, or a directory of one split"
        )
    for part in parts:
        yield from parquet_rows(RowFile(part))


def hub_rows(name: str) -> Iterator[tuple[str, Any]]:
    """Read the rows of a dataset of the hub as they arrive.

    Args:
        name: `hf:OWNER/NAME`, with `:SPLIT` or `/CONFIGURATION` behind it where needed.

    Yields:
        Where each row stands, and the row.

    Raises:
        InputError: `datasets` is missing, there is no such dataset, or no connection.
    """
    rows = hub_dataset(name, streaming=True)
    with parsing(Path(name), "a dataset of the hub"):
        for number, row in enumerate(rows, start=1):
            yield f"{name}, row {number}", {key: value for key, value in row.items() if value is not None}


def hub_dataset(name: str, *, streaming: bool) -> Any:
    """Load a dataset of the hub.

    Args:
        name: As in `hub_rows`.
        streaming: Whether rows are read as they arrive, or all are downloaded first.

    Returns:
        The dataset of the package `datasets`.

    Raises:
        InputError: `datasets` is missing, there is no such dataset, or no connection.
    """
    datasets = _package(name)
    place, _, split = name.removeprefix(HUB).partition(":")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+){0,2}", place):
        raise InputError(
            f"{short(name)} is no dataset of the hub: write hf:OWNER/NAME, or hf:OWNER/NAME/CONFIGURATION:SPLIT"
        )
    parts = place.split("/")
    repository, configuration = "/".join(parts[:2]), "/".join(parts[2:]) or None
    try:
        with asked_once(repository):
            return datasets.load_dataset(repository, configuration, split=split or "train", streaming=streaming)
    except InputError:
        raise
    except Exception as error:  # whatever the hub, the connection or the dataset's own files raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(
            f"cannot fetch {name} from the hub: {reason}. Check name, split (hf:NAME:SPLIT) and connection, or "
            "download its files and give the path of these"
        ) from error


def _saved_rows(directory: Path) -> Iterator[tuple[str, Any]]:
    datasets = _package(str(directory))
    with parsing(directory, "a saved dataset"):
        for number, row in enumerate(datasets.load_from_disk(str(directory)), start=1):
            yield f"{directory}, row {number}", {key: value for key, value in row.items() if value is not None}


def _package(name: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise InputError(f"{name} needs the package datasets: `pip install 'reasonlens[readers]'`") from error
    return datasets


def _split(part: Path) -> tuple[str, str] | str:
    """Name the split of a file as the hub does: data/train-00000-of-00002.parquet is of train."""
    return str(Path(part.parent.name) / part.stem.partition("-")[0])
