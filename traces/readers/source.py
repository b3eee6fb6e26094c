"""Open the files that hold rows, gzipped or not, and convert whatever a damaged one raises to one InputError."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, cast
from zipfile import BadZipFile

from ...rundir import InputError, nearest_file
from ...rundir.errors import short

GZIP = b"\x1f\x8b"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
N_BEGINNING = 1 << 16  # bytes by which a file's form is recognised


@dataclass(frozen=True)
class RowFile:
    """A file that holds rows; a gzipped one is decompressed as it is read."""

    path: Path

    @property
    def is_gzipped(self) -> bool:
        """Whether it begins as gzip does, whatever it is called."""
        with self.path.open("rb") as file:
            return file.read(len(GZIP)) == GZIP

    @property
    def name(self) -> str:
        """The file's name without `.gz`, in lower case."""
        return self.path.name.lower().removesuffix(".gz")

    @property
    def stem(self) -> str:
        """The file's name without its suffixes, for the ids of rows that have none."""
        return Path(self.path.name.removesuffix(".gz")).stem

    def open(self) -> IO[bytes]:
        """Open the content for reading."""
        return cast("IO[bytes]", gzip.open(self.path, "rb")) if self.is_gzipped else self.path.open("rb")

    def seekable(self) -> IO[bytes]:
        """Open the content for readers that jump in it; that of a gzipped file is read into memory."""
        return BytesIO(self.content()) if self.is_gzipped else self.path.open("rb")

    def content(self) -> bytes:
        """Read the content."""
        with self.open() as file:
            return file.read()

    def beginning(self) -> bytes:
        """Read the first bytes of the content, without a byte order mark; refuse UTF-16, which no reader takes.

        Returns:
            At most 65,536 bytes.

        Raises:
            InputError: The file is UTF-16.
        """
        with self.open() as file:
            start = file.read(N_BEGINNING)
        if start.startswith(UTF_16):
            raise InputError(f"cannot read traces from {short(self.path)}: it is UTF-16; save it as UTF-8")
        return start.removeprefix(b"\xef\xbb\xbf")


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Convert an error of a file that is missing, cut short or damaged to an InputError that names it.

    Args:
        path: The file.

    Yields:
        Nothing.

    Raises:
        InputError: The body met such a file.
    """
    try:
        yield
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot read traces from {short(path)}: it is not UTF-8 ({error.reason}); save it as UTF-8"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile, BadZipFile) as error:
        raise InputError(
            f"cannot read traces from {short(path)}: it is cut short or damaged ({error}); copy or write it again"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot read traces from {short(path)}: {error.strerror or error}.{nearest_file(path)}"
        ) from error


@contextmanager
def parsing(path: Path, form: str) -> Iterator[None]:
    """Convert whatever another package's parser raises on a file to an InputError that names it.

    Args:
        path: The file.
        form: What the file was taken for, such as "a Parquet file".

    Yields:
        Nothing.

    Raises:
        InputError: The body raised any error; the message holds the parser's own.
    """
    with opening(path):
        try:
            yield
        except (InputError, UnicodeDecodeError, EOFError, zlib.error, BadZipFile, FileNotFoundError):
            raise
        except Exception as error:  # what a parser of another package raises is not ours to list
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"cannot read {short(path)} as {form}: {reason}; it is damaged or something else: write it again, or "
                "name its form (--form)"
            ) from error
