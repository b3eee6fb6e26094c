"""Raise one error for every mistake of a user, also where the operating system refuses to read or write.

The command line prints an `InputError` as one line and exits with 2; it does the same with an error of a disk or file
that nothing has caught, which `refusal` words.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .brevity import one_line

ELSEWHERE = "Choose a place that you may write to."
OF_NO_FILE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # what the disk refuses, whatever the file

# What the system may refuse a writer -> what the user can do about it.
REMEDIES = {
    errno.ENOSPC: "Free some space and run the same command again; what is written stays.",
    errno.EDQUOT: "Free some of your quota and run the same command again; what is written stays.",
    errno.EFBIG: "Choose a file system that takes files of this size.",
    errno.EIO: "Check the disk, then run the same command again.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
} | dict.fromkeys(
    (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENOTEMPTY),
    ELSEWHERE,
)


class InputError(ValueError):
    """A mistake in what the user gave. The message says what was wrong, the value, and what to do, in one line."""

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert a refusal to write `path` (disk full, quota, read-only, no permission, name too long) to an InputError.

    This covers an OSError of the body, and what safetensors and torch raise in its place, whose message carries the
    system's error number. Other errors pass through.

        with writing(path):
            frame.to_csv(path)

    Args:
        path: What the body writes, as the message names it.

    Yields:
        Nothing.

    Raises:
        InputError: The system refused; the message names the path, the reason and the remedy.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        number = refusal_number(error)
        if number is None:
            raise
        raise InputError(f"cannot write {short(path)}: {os.strerror(number)}. {REMEDIES[number]}") from error


def refusal(error: BaseException) -> str | None:
    """Describe an error of a disk or file that was not converted to an `InputError`.

    Args:
        error: Any error.

    Returns:
        The file, the reason and the remedy in one line. None for any other error, also for an OSError that names
        neither a file nor a full or read-only disk: those are mistakes of the program.
    """
    number = refusal_number(error)
    if not isinstance(error, OSError):
        return None if number is None else f"cannot write: {os.strerror(number)}. {REMEDIES[number]}"
    if error.filename is None:
        if number not in OF_NO_FILE:
            return None
        return f"cannot write: {os.strerror(number)}. {REMEDIES[number]}"
    reason = error.strerror or type(error).__name__
    remedy = REMEDIES.get(error.errno or 0, "Check the path.")
    return f"cannot use {short(os.fsdecode(error.filename))}: {reason}. {remedy}"


def refusal_number(error: BaseException) -> int | None:
    """Find the system's number (errno) of an error for which there is a remedy; None for any other error."""
    if isinstance(error, OSError):
        return error.errno if error.errno in REMEDIES else None
    text = str(error)
    written = re.search(r"os error (\d+)", text)  # as Rust (safetensors, tokenizers) words it
    if written:
        return int(written[1]) if int(written[1]) in REMEDIES else None
    return next((number for number in (errno.ENOSPC, errno.EDQUOT) if os.strerror(number) in text), None)


def short(path: Path | str) -> str:
    """Write a path for a message: one of more than 200 characters with its middle left out."""
    text = str(path)
    return text if len(text) <= 200 else f"{text[:100]}…{text[-80:]}"
