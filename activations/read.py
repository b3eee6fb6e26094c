"""Select the tokens of a span that are read; their activations are averaged.

Positions are counted from the span's first token, s, to its end, e (excluded):
    mean          s .. e              the sentence while it is read
    first / last  s / e-1             its first / its last token
    before:n      s-n .. s            the n tokens before it (what the model knows before it writes the span)
    window:a:b    s+a .. s+b          clipped to the span on the right
`window:-1:10` is the published choice for behaviour vectors (arXiv 2506.18167: [s-1, min(e-1, s+10))). A window that
begins before the span leaves out the span's last token, as the published one does: it holds the positions that predict
the span. `window:-12:-7` is that of arXiv 2507.12638.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..rundir import InputError, did_you_mean, text_of, whole_number

MOST = 10**9  # tokens
READS = ("mean", "first", "last", "before", "window")


@dataclass(frozen=True, slots=True)
class Read:
    """The tokens [begin, end) relative to the span's first token; an end of None is the end of the span."""

    begin: int = 0
    end: int | None = None
    last_only: bool = False

    def __post_init__(self) -> None:
        whole_number(self.begin, "a read's begin", -MOST, MOST)
        if self.end is not None and whole_number(self.end, "a read's end", -MOST, MOST) <= self.begin:
            raise InputError(f"a window must end after it begins, and {self.begin}:{self.end} does not")

    @classmethod
    def mean(cls) -> Read:
        """Read all tokens of the span."""
        return cls()

    @classmethod
    def first(cls) -> Read:
        """Read the first token of the span."""
        return cls(0, 1)

    @classmethod
    def last(cls) -> Read:
        """Read the last token of the span."""
        return cls(last_only=True)

    @classmethod
    def before(cls, tokens: int = 1) -> Read:
        """Read the tokens before the span.

        Args:
            tokens: How many.

        Returns:
            The read.
        """
        return cls(-tokens, 0)

    @classmethod
    def window(cls, begin: int, end: int) -> Read:
        """Read a window around the beginning of the span.

        Args:
            begin: The first token, relative to the span's first token; negative ones lie before it.
            end: The token after the last one, relative to the same token.

        Returns:
            The read.

        Raises:
            InputError: The window ends before it begins.
        """
        return cls(begin, end)

    @classmethod
    def parse(cls, text: str) -> Read:
        """Parse what `str(read)` writes.

        Args:
            text: mean, first, last, before, before:N or window:A:B.

        Returns:
            The read.

        Raises:
            InputError: The text is none of these.
        """
        name, *numbers = text_of(text, "read").split(":")
        try:
            match name, [int(number) for number in numbers]:
                case "mean", []:
                    return cls.mean()
                case "first", []:
                    return cls.first()
                case "last", []:
                    return cls.last()
                case "before", []:
                    return cls.before()
                case "before", [tokens] if tokens > 0:
                    return cls.before(tokens)
                case "window", [begin, end]:
                    return cls.window(begin, end)
        except InputError:
            raise
        except ValueError:
            pass
        raise InputError(
            f"unknown read {text!r}: use mean, first, last, before:N (N > 0) or window:A:B (window:-1:10)."
            f"{did_you_mean(name, READS)}"
        )

    def positions(self, first: int, stop: int) -> range:
        """Compute the positions that are read for one span.

        Args:
            first: The span's first token.
            stop: The token after its last one.

        Returns:
            The positions; may be empty, never negative.
        """
        if self.last_only:
            return range(stop - 1, stop)
        begin = first + self.begin
        if self.end is None:
            return range(max(begin, 0), stop)
        clip = stop - 1 if self.begin < 0 else stop
        end = first + self.end if self.end <= 0 else min(first + self.end, clip)
        return range(max(begin, 0), max(end, 0))

    def __str__(self) -> str:
        if self.last_only:
            return "last"
        match self.begin, self.end:
            case 0, None:
                return "mean"
            case 0, 1:
                return "first"
            case begin, 0:
                return f"before:{-begin}"
            case begin, end:
                return f"window:{begin}:{end}"
