"""Hold labelled reasoning: a Trace is one response to one prompt, a Span a stretch of it that shows one behaviour."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ..rundir import InputError, brief, listed, looked_at, text_of, truth_of, whole_number
from .display import traces_html


@dataclass(frozen=True, slots=True)
class Span:
    """The characters [start, end) of a trace's text, and the behaviour that they show."""

    start: int
    end: int
    label: str
    marked: bool | None = None  # whether it holds a tell-tale word of its behaviour; None: not known

    __repr__ = brief

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            place = getattr(self, name)
            if type(place) is not int:  # one below 0 is named by the trace, which knows where it stands
                object.__setattr__(self, name, whole_number(place, f"{name} of a span", 0))
        text_of(self.label, "label of a span")
        if self.marked is not None:
            truth_of(self.marked, "marked of a span")


@dataclass(frozen=True, slots=True)
class Trace:
    """One response to a prompt, with its labelled spans.

    `problem` is the group that no train/test split may cut. By default it is the prompt, so that several responses to
    one prompt stay together; without a prompt it is the id. A span outside the text, or two overlapping spans of one
    label, raise InputError.
    """

    id: str
    prompt: str
    text: str
    spans: tuple[Span, ...] = field(default=())
    problem: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", tuple(self.spans))
        object.__setattr__(self, "problem", self.problem or self.prompt or self.id)
        by_label: defaultdict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            if not 0 <= span.start < span.end <= len(self.text):
                raise InputError(
                    f"trace {self.id!r}: span {span.start}..{span.end} ({span.label!r}) does not lie in its text of "
                    f"{len(self.text)} characters; start and end count characters from 0, end excluded"
                )
            by_label[span.label].append(span)
        for label, spans in by_label.items():
            spans.sort(key=lambda span: span.start)
            for before, after in zip(spans, spans[1:], strict=False):
                if after.start < before.end:
                    raise InputError(
                        f"trace {self.id!r}: two spans of {label!r} overlap "
                        f"({before.start}..{before.end} and {after.start}..{after.end}); merge them or drop one"
                    )

    def text_of(self, span: Span) -> str:
        """Return the text of a span.

        Args:
            span: One of `spans`.

        Returns:
            Its characters.
        """
        return self.text[span.start : span.end]

    def _repr_html_(self) -> str:
        """Show the text with its labels in colours."""
        return traces_html([self])

    @looked_at(".text, .spans, .text_of(span)")
    def __repr__(self) -> str:
        counts = Counter(span.label for span in self.spans)
        labels = listed(f"{label} {count}" for label, count in counts.items())
        return (
            f"Trace({self.id!r:.60}, problem {self.problem!r:.60}, prompt of {len(self.prompt)} characters, text of "
            f"{len(self.text)}: {self.text[:60]!r}, {len(self.spans)} spans{f': {labels}' if labels else ''})"
        )
