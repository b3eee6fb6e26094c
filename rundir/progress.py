"""Report the progress of a long loop on stderr: a bar that is redrawn on a terminal, else a line every 30 seconds.

On a terminal and in a notebook the bar is tqdm's. Where stderr goes to a file or a pipe, redrawing would fill it with
thousands of lines; there the same text is written as a line of its own after 30 seconds, after 60, and at the end. In a
notebook the bar is text as well: it needs no ipywidgets, and a stored notebook shows it.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from tqdm import TqdmWarning, tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 30.0
NOTEBOOK = "ipykernel.zmqshell"  # a module that the kernel of a notebook has loaded
_silent_blocks: list[bool] = []  # one for each block of `no_progress` that is open


def settle_notebook() -> None:
    """Let the bars of other libraries choose their form in a notebook without a warning that ipywidgets is missing.

    They take `tqdm.auto`, which warns when it is first imported; here it is imported with that warning left out.
    """
    if NOTEBOOK in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TqdmWarning)
            import tqdm.auto  # noqa: F401


@contextmanager
def no_progress() -> Iterator[None]:
    """Silence the progress of all threads of this process inside the block, also where `progress=True`."""
    _silent_blocks.append(True)
    try:
        yield
    finally:
        _silent_blocks.pop()


def with_progress(
    items: Iterable[Item], *, desc: str, unit: str, total: int | None = None, progress: bool = True
) -> Iterator[Item]:
    """Iterate over `items` and count each one on a `ProgressBar`.

    Args:
        items: Anything to iterate over.
        desc: The work, in front of the bar.
        unit: What an item is, in the singular.
        total: Number of items; by default the length of `items` if it has one.
        progress: Whether anything is shown.

    Yields:
        The items, unchanged.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with ProgressBar(desc=desc, unit=unit, total=total, progress=progress) as bar:
        for item in items:
            yield item
            bar.update()


def is_silent() -> bool:
    """Tell whether `no_progress` is in force; a process that starts others has to pass it on to them."""
    return bool(_silent_blocks)


class ProgressBar:
    """A counter of the steps of a loop, shown on stderr.

    Args:
        desc: The work, in front of the bar.
        unit: What a step is, in the singular.
        total: Number of steps, where it is known.
        initial: Steps that were done before.
        unit_scale: Whether large counts are abbreviated (`12.3k`).
        position: Line on the terminal, from 0, where several processes show a bar.
        smoothing: Weight of the newest speed on a terminal, from 0 (mean speed) to 1 (newest only).
        progress: Whether anything is shown.
    """

    def __init__(
        self,
        *,
        desc: str,
        unit: str,
        total: int | None = None,
        initial: int = 0,
        unit_scale: bool = False,
        position: int | None = None,
        smoothing: float = 0.3,
        progress: bool = True,
    ) -> None:
        self._n, self._initial, self._total, self._postfix = initial, initial, total, ""
        self._desc, self._unit, self._unit_scale = desc, unit, unit_scale
        self._start = self._last_line = time.monotonic()
        self._is_open = progress and not is_silent()
        self._bar: Any = None
        if self._is_open and _can_redraw():
            self._bar = tqdm(
                desc=desc,
                unit=unit,
                total=total,
                initial=initial,
                unit_scale=unit_scale,
                position=position,
                smoothing=smoothing,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, n: int = 1) -> None:
        """Count `n` more steps."""
        self._n += n
        if self._bar is not None:
            self._bar.update(n)
        elif self._is_open and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._write_line()

    def reset(self, total: int) -> None:
        """Start again from 0, of `total` steps."""
        self._n, self._initial, self._total = 0, 0, total
        self._start = time.monotonic()
        if self._bar is not None:
            self._bar.reset(total)

    def set_postfix(self, **values: object) -> None:
        """Set the values that are shown behind the bar from its next update on."""
        self._postfix = ", ".join(f"{name}={value}" for name, value in values.items())
        if self._bar is not None:
            self._bar.set_postfix_str(self._postfix, refresh=False)

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._bar is not None:
            self._bar.close()
        elif self._is_open and (self._n > self._initial or self._n == self._total):
            self._write_line()
        self._is_open = False

    def _write_line(self) -> None:
        self._last_line = time.monotonic()
        line = tqdm.format_meter(
            self._n,
            self._total,
            self._last_line - self._start,
            prefix=self._desc,
            unit=self._unit,
            unit_scale=self._unit_scale,
            postfix=self._postfix or None,
            initial=self._initial,
        )
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _can_redraw() -> bool:
    """Tell whether stderr is a terminal or a notebook's cell, where a line can be redrawn."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel.")
