"""Read the samples of an .eval log of Inspect (inspect_ai): a zip archive with a JSON file for each sample.

Inspect compresses with Zstandard since 2026, which Python's zipfile knows from 3.14 on; before that pyarrow does.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

from ...rundir import InputError, parse_json
from ...rundir.errors import short
from .source import RowFile, parsing

ZSTANDARD = 93  # the method's number in zip files
HEADER = 30  # bytes of an entry's own header; the lengths of two fields that follow stand at 26
SAMPLES = "samples/"


def eval_samples(file: RowFile) -> Iterator[tuple[str, Any]]:
    """Read the samples of an archive, one at a time.

    Args:
        file: The archive.

    Yields:
        Where each sample stands ("FILE, samples/7_epoch_1.json"), and the sample.

    Raises:
        InputError: It is no such archive, holds no samples, or needs pyarrow.
    """
    with parsing(file.path, "an .eval log"), file.seekable() as content, ZipFile(content) as archive:
        entries = [
            entry
            for entry in archive.infolist()
            if entry.filename.startswith(SAMPLES) and entry.filename.endswith(".json")
        ]
        if not entries:
            raise InputError(f"{short(file.path)} holds no samples: is it a log of Inspect, and was the run finished?")
        for entry in entries:
            place = f"{file.path}, {entry.filename}"
            yield place, parse_json(_content(archive, content, entry, place), place)


def _content(archive: ZipFile, file: IO[bytes], entry: ZipInfo, place: str) -> bytes:
    try:
        return archive.read(entry)
    except NotImplementedError:
        if entry.compress_type != ZSTANDARD:
            raise
    file.seek(entry.header_offset)
    header = file.read(HEADER)
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    content = _decompressed(file.read(entry.compress_size), place)
    if zlib.crc32(content) != entry.CRC:
        raise InputError(f"{place} is damaged: its checksum is another; copy the log again")
    return content


def _decompressed(content: bytes, place: str) -> bytes:
    try:
        import pyarrow
    except ImportError as error:
        raise InputError(
            f"{place} is compressed with Zstandard, which needs the package pyarrow: `pip install "
            "'reasonlens[readers]'`; or write the log as JSON (`inspect log convert --to json`)"
        ) from error
    with pyarrow.CompressedInputStream(pyarrow.BufferReader(content), "zstd") as stream:
        return bytes(stream.read())
