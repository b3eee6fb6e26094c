"""Write text coloured by what probes say of it, as HTML, for notebooks (pages: `token_view`).

Orange lies above the centre of a behaviour (the log odds of any training span; 0 where that is not known), blue below,
and the further away the stronger. Underlined: spans with the chosen label, so that hits and misses show. Radio buttons
and style sheets choose the behaviour; no script runs.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ._text import page_text
from .palette import SECOND, SIGNAL, faint

N_LEVELS = 10  # shades on either side
STRONGEST = 0.7  # opacity: letters keep a contrast of 4.5 on a white and on a dark page
UNDERLINE = "text-decoration: underline 2px; text-underline-offset: .22em; text-decoration-skip-ink: none"
UNITS = {"t": "tokens", "s": "sentences"}

STYLE = """
.rl-tokens form { display: flex; flex-wrap: wrap; gap: .2rem 1.6rem; margin: 0 0 .5rem; }
.rl-tokens label { margin-right: .7rem; white-space: nowrap; cursor: pointer; }
.rl-tokens input { margin: 0 .25rem 0 0; vertical-align: middle; }
.rl-tokens .rl-soft { opacity: .7; font-size: .88em; }
.rl-tokens .rl-legend { display: none; align-items: center; flex-wrap: wrap; gap: .2rem .6rem; font-size: .88em; }
.rl-tokens .rl-bar { position: relative; display: inline-block; width: 14rem; height: .9rem; border-radius: 2px;
  vertical-align: middle; }
.rl-tokens .rl-even { position: absolute; top: -.15rem; bottom: -.15rem; border-left: 2px dotted currentColor; }
.rl-tokens .rl-id { font-weight: 600; margin: 1.4rem 0 .2rem; }
.rl-tokens .rl-prompt, .rl-tokens .rl-text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
.rl-tokens .rl-text { line-height: 1.9; tab-size: 4; margin-top: .5rem; }
.rl-tokens .rl-text span { padding: .14em 0; }
.rl-tokens:has([value="t"]:checked) .rl-text span { border-radius: 2px; }
"""

Scored = tuple[int, int, Sequence[float]]  # start, end, the score of each behaviour


@dataclass(frozen=True, eq=False, kw_only=True)
class ColouredText:
    """One text with its scores; places are characters of `text`, and a score is NaN where there is none."""

    name: str
    prompt: str
    text: str
    tokens: Sequence[Scored]  # in order and disjoint
    sentences: Sequence[Scored]
    labels: Sequence[tuple[int, int, str]]  # start, end, label

    def __repr__(self) -> str:
        return f"ColouredText({self.name!r:.80}, {len(self.text)} characters, {len(self.tokens)} tokens)"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How one behaviour's scores become colours."""

    behaviour: str
    layer: int
    prior: float | None  # log odds of any training span: no colour lies there (0 where it is not known)
    tokens: float  # how far from there the strongest colour of a token lies
    sentences: float  # the same of a sentence

    @property
    def centre(self) -> float:
        """The score without a colour."""
        return self.prior or 0.0

    def of(self, unit: str) -> float:
        """Return the distance of the strongest colour of a unit ("t" or "s")."""
        return self.tokens if unit == "t" else self.sentences


def tokens_fragment(
    texts: Sequence[ColouredText], scales: Sequence[Scale], *, are_log_odds: bool = True, note: str = ""
) -> str:
    """Write the coloured texts to stand inside another page; their colours show on any.

    Args:
        texts: What is shown.
        scales: One for each behaviour, in the order of the buttons.
        are_log_odds: Whether scores have a probability.
        note: What stands under them.
    """
    pieces = "\n".join(_text(text, scales, are_log_odds) for text in texts)
    labels = {label for text in texts for _, _, label in text.labels}
    more = f'<p class="rl-soft">{page_text(note)}</p>' if note else ""
    return f"""<div class="rl-tokens">
<style>{STYLE}{_rules(len(scales))}</style>
<div class="rl-pick">
<form autocomplete="off">{_choices(scales)}</form>
{_legends(scales, labels, are_log_odds)}
</div>
{pieces}{more}
</div>"""


def _choices(scales: Sequence[Scale]) -> str:
    names = [f"{page_text(scale.behaviour)} <span class='rl-soft'>layer {scale.layer}</span>" for scale in scales]
    groups: tuple[tuple[str, dict[Any, str]], ...] = (("b", dict(enumerate(names))), ("u", dict(UNITS)))
    return "".join(
        f"<div{' hidden' if len(choices) == 1 else ''}>"
        + "".join(
            f'<label><input type="radio" name="{name}" value="{value}"{" checked" if place == 0 else ""}>{text}</label>'
            for place, (value, text) in enumerate(choices.items())
        )
        + "</div>"
        for name, choices in groups
    )


def _legends(scales: Sequence[Scale], labels: set[str], are_log_odds: bool) -> str:
    ramp = f"linear-gradient(90deg, {faint(SIGNAL, STRONGEST)}, transparent, {faint(SECOND, STRONGEST)})"
    unit_name = "log odds" if are_log_odds else "score"
    legends = []
    for index, scale in enumerate(scales):
        for unit in UNITS:
            low, high = scale.centre - scale.of(unit), scale.centre + scale.of(unit)
            even = f'<span class="rl-even" style="left:{-low / (high - low):.1%}"></span>' if low < 0 < high else ""
            notes = ["transparent: even odds" if are_log_odds else "transparent: 0"]
            if scale.prior is not None:
                notes = [f"transparent: {_signed(scale.prior)}, as of any training span ({_share(scale.prior)})"]
                notes += ["dotted: even odds"] if even else []
            if scale.behaviour in labels:
                notes.append(f'<span style="{UNDERLINE}">underlined</span>: labelled {page_text(scale.behaviour)}')
            bar = f'<span class="rl-bar" style="background:{ramp}">{even}</span>'
            legends.append(
                f'<div class="rl-legend rl-{unit}{index}"><span>{unit_name} of {page_text(scale.behaviour)} at layer '
                f"{scale.layer}</span><span>{_signed(low)} {bar} {_signed(high)}</span>"
                f'<span class="rl-soft">{"; ".join(notes)}</span></div>'
            )
    return "\n".join(legends)


def _rules(n_behaviours: int) -> str:
    """Write the rules of each behaviour and unit for the classes of a piece: `t0p7`, shade 7 above; `l0`, its label."""
    rules = []
    for index in range(n_behaviours):
        chosen = f'.rl-tokens:has([name="b"][value="{index}"]:checked)'
        rules.append(f"{chosen} .l{index} {{ {UNDERLINE} }}")
        for unit in UNITS:
            both = f'{chosen}:has([name="u"][value="{unit}"]:checked)'
            rules.append(f"{both} .rl-{unit}{index} {{ display: flex }}")
            for level in range(1, N_LEVELS + 1):
                for sign, colour in (("p", SECOND), ("n", SIGNAL)):
                    shade = faint(colour, round(STRONGEST * level / N_LEVELS, 3))
                    rules.append(f"{both} .{unit}{index}{sign}{level} {{ background: {shade} }}")
    return "\n".join(rules)


def _text(text: ColouredText, scales: Sequence[Scale], are_log_odds: bool) -> str:
    prompt = f'<div class="rl-prompt rl-soft" dir="auto">{_shown(text.prompt)}</div>' if text.prompt else ""
    pieces = "".join(_pieces(text, scales, are_log_odds))
    name = f'<div class="rl-id" dir="auto">{page_text(text.name)}</div>'
    return f'{name}{prompt}<div class="rl-text" dir="auto">{pieces}</div>'


def _pieces(text: ColouredText, scales: Sequence[Scale], are_log_odds: bool) -> Iterator[str]:
    """Cut the text wherever a token, a sentence or a labelled span begins or ends."""
    starts = [start for start, _, _ in text.tokens]
    spans = [(start, end) for start, end, _ in (*text.tokens, *text.sentences, *text.labels)]
    cuts = sorted({0, len(text.text)} | {place for span in spans for place in span})
    no_scores = [math.nan] * len(scales)
    for first, stop in zip(cuts, cuts[1:], strict=False):
        at = bisect_right(starts, first) - 1
        is_token = at >= 0 and first < text.tokens[at][1]
        of_token = text.tokens[at][2] if is_token else no_scores
        of_sentence = next((scores for start, end, scores in text.sentences if start <= first < end), no_scores)
        here = [name for start, end, name in text.labels if start <= first < end]
        classes = [f"l{index}" for index, scale in enumerate(scales) if scale.behaviour in here]
        lines = [] if not here else [f"labelled {', '.join(here)}"]
        for index, scale in enumerate(scales):
            values = {"t": of_token[index], "s": of_sentence[index]}
            for unit, value in values.items():
                level = 0 if math.isnan(value) else round(N_LEVELS * (value - scale.centre) / scale.of(unit))
                if level:
                    classes.append(f"{unit}{index}{'p' if level > 0 else 'n'}{min(abs(level), N_LEVELS)}")
            written = [_written(value, are_log_odds) for value in values.values() if not math.isnan(value)]
            if written:
                lines.append(
                    f"{scale.behaviour} {', sentence '.join(written)}"
                    if is_token
                    else f"{scale.behaviour}, sentence {written[0]}"
                )
        shown = _shown(text.text[first:stop])
        title = page_text("\n".join(lines)).replace("\n", "&#10;")
        yield f'<span class="{" ".join(classes)}" title="{title}">{shown}</span>' if lines else shown


def _shown(text: str) -> str:
    return page_text(text).replace("\r", "&#13;").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _written(value: float, is_log_odds: bool) -> str:
    return f"{_signed(value)} ({_share(value)})" if is_log_odds else _signed(value)


def _signed(number: float) -> str:
    return f"{number:+.2f}".replace("-", "−")


def _share(log_odds: float) -> str:
    return f"{0.5 * (1 + math.tanh(0.5 * log_odds)):.0%}"
