"""Text coloured by what probes say of it, as HTML: a fragment for notebooks, or a page that opens offline.

Orange lies above the log odds of any training span (the prior; 0 where it is not known), blue below, and the further
away the stronger; half a scale is the distance that 95% of the tokens keep within. Underlined: spans with the chosen
label, so that hits and misses show. Radio buttons and style sheets choose the behaviour; no script runs.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from .page import offline_page
from .palette import SECOND, SIGNAL, faint

if TYPE_CHECKING:
    from ..analysis.token_scores import ScoredText, TokenScores

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
PAGE = """
:root { color-scheme: light dark; --ink: #222; --soft: #666; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --soft: #a0a0a0; --page: #16181c; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
.note { color: var(--soft); font-size: .92rem; }
.rl-pick { position: sticky; top: 0; z-index: 1; background: var(--page); padding: .6rem 0; }
"""


def tokens_page(scores: TokenScores) -> str:
    """A whole page. Every text, label and name is escaped; nothing is loaded and no script may run."""
    n_tokens = sum(len(text.characters) for text in scores.texts)
    model = escape(str(scores.model.get("name", "a model")))
    lead = (
        f"{_count(len(scores.texts), 'text')}, {n_tokens} tokens, read by {model}; {escape(scores.method)}, trained on"
    )
    return offline_page(
        f"{_names(scores)} in {model}",
        PAGE,
        f"""<h1>{_names(scores)}, token by token</h1>
<p class="note">{lead} the read {escape(scores.read)}. {_how_to_read(scores.read)}</p>
{tokens_fragment(scores)}""",
    )


def tokens_fragment(scores: TokenScores, most: int | None = None) -> str:
    """The coloured texts, or the first `most` of them, to stand inside another page; its colours show on any."""
    shown = scores.texts[:most]
    centres = [scores.priors[behaviour] or 0.0 for behaviour in scores.behaviours]
    scales = {
        "t": [_scale(shown, index, centre, False) for index, centre in enumerate(centres)],
        "s": [_scale(shown, index, centre, True) for index, centre in enumerate(centres)],
    }
    texts = "\n".join(_text(text, scores, centres, scales) for text in shown)
    left = len(scores.texts) - len(shown)
    more = f'<p class="rl-soft">… and {_count(left, "text")} more: to_html() shows all</p>' if left else ""
    return f"""<div class="rl-tokens">
<style>{STYLE}{_rules(len(centres))}</style>
<div class="rl-pick">
<form autocomplete="off">{_choices(scores)}</form>
{_legends(scores, centres, scales)}
</div>
{texts}{more}
</div>"""


def _choices(scores: TokenScores) -> str:
    behaviours = [f"{escape(name)} <span class='rl-soft'>layer {layer}</span>" for name, layer in scores.layers.items()]
    groups = (("b", dict(enumerate(behaviours))), ("u", UNITS))
    return "".join(
        f"<div{' hidden' if len(choices) == 1 else ''}>"
        + "".join(
            f'<label><input type="radio" name="{name}" value="{value}"{" checked" if place == 0 else ""}>{text}</label>'
            for place, (value, text) in enumerate(choices.items())
        )
        + "</div>"
        for name, choices in groups
    )


def _legends(scores: TokenScores, centres: Sequence[float], scales: dict[str, list[float]]) -> str:
    labels = {span.label for text in scores.texts for span in text.trace.spans}
    ramp = f"linear-gradient(90deg, {faint(SIGNAL, STRONGEST)}, transparent, {faint(SECOND, STRONGEST)})"
    unit_name = "log odds" if scores.are_log_odds else "score"
    found = []
    for index, (name, layer) in enumerate(scores.layers.items()):
        prior = scores.priors[name]
        for unit in UNITS:
            low, high = centres[index] - scales[unit][index], centres[index] + scales[unit][index]
            even = f'<span class="rl-even" style="left:{-low / (high - low):.1%}"></span>' if low < 0 < high else ""
            notes = ["transparent: even odds" if scores.are_log_odds else "transparent: 0"]
            if prior is not None:
                notes = [f"transparent: {_signed(prior)}, as of any training span ({_share(prior)})"]
                notes += ["dotted: even odds"] if even else []
            if name in labels:
                notes.append(f'<span style="{UNDERLINE}">underlined</span>: labelled {escape(name)}')
            bar = f'<span class="rl-bar" style="background:{ramp}">{even}</span>'
            found.append(
                f'<div class="rl-legend rl-{unit}{index}"><span>{unit_name} of {escape(name)} at layer {layer}</span>'
                f"<span>{_signed(low)} {bar} {_signed(high)}</span>"
                f'<span class="rl-soft">{"; ".join(notes)}</span></div>'
            )
    return "\n".join(found)


def _rules(n_behaviours: int) -> str:
    """What the chosen behaviour and unit make of the classes of a piece: `t0p7` is shade 7 above, `l0` its label."""
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


def _text(text: ScoredText, scores: TokenScores, centres: Sequence[float], scales: dict[str, list[float]]) -> str:
    prompt = f'<div class="rl-prompt rl-soft" dir="auto">{_shown(text.trace.prompt)}</div>' if text.trace.prompt else ""
    pieces = "".join(_pieces(text, scores, centres, scales))
    name = f'<div class="rl-id" dir="auto">{escape(text.trace.id)}</div>'
    return f'{name}{prompt}<div class="rl-text" dir="auto">{pieces}</div>'


def _pieces(
    text: ScoredText, scores: TokenScores, centres: Sequence[float], scales: dict[str, list[float]]
) -> Iterator[str]:
    """The text cut wherever a token, a sentence or a labelled span begins or ends."""
    stretches = text.stretches()
    starts = [start for start, _, _ in stretches]
    borders = {0, len(text.trace.text)} | {place for start, end, _ in stretches for place in (start, end)}
    for span in (*text.trace.spans, *text.sentences):
        borders |= {span.start, span.end}
    cuts = sorted(borders)
    for first, stop in zip(cuts, cuts[1:], strict=False):
        at = bisect_right(starts, first) - 1
        token = stretches[at][2] if at >= 0 and first < stretches[at][1] else None
        sentence = next((n for n, span in enumerate(text.sentences) if span.start <= first < span.end), None)
        labels = [span.label for span in text.trace.spans if span.start <= first < span.end]
        classes = [f"l{index}" for index, name in enumerate(scores.behaviours) if name in labels]
        lines = [] if not labels else [f"labelled {', '.join(labels)}"]
        for index, name in enumerate(scores.behaviours):
            values = {
                "t": math.nan if token is None else float(text.log_odds[index, token]),
                "s": math.nan if sentence is None else float(text.sentence_log_odds[index, sentence]),
            }
            for unit, value in values.items():
                level = 0 if math.isnan(value) else round(N_LEVELS * (value - centres[index]) / scales[unit][index])
                if level:
                    classes.append(f"{unit}{index}{'p' if level > 0 else 'n'}{min(abs(level), N_LEVELS)}")
            said = [_said(value, scores.are_log_odds) for value in values.values() if not math.isnan(value)]
            if said:
                lines.append(
                    f"{name} {', sentence '.join(said)}" if token is not None else f"{name}, sentence {said[0]}"
                )
        shown = _shown(text.trace.text[first:stop])
        title = escape("\n".join(lines)).replace("\n", "&#10;")
        yield f'<span class="{" ".join(classes)}" title="{title}">{shown}</span>' if lines else shown


def _scale(texts: Sequence[ScoredText], index: int, centre: float, of_sentences: bool) -> float:
    """How far from the centre the strongest colour lies: 95% of the scores are nearer."""
    parts = [(text.sentence_log_odds if of_sentences else text.log_odds)[index] for text in texts]
    distance: Float[np.ndarray, " n"] = np.abs(np.concatenate([part[~np.isnan(part)] for part in parts]) - centre)
    return max(0.5, math.ceil(2 * float(np.quantile(distance, 0.95))) / 2) if len(distance) else 1.0


def _shown(text: str) -> str:
    return escape(text).replace("\r", "&#13;").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _names(scores: TokenScores) -> str:
    names = scores.behaviours
    return escape(", ".join(names) if len(names) < 4 else f"{len(names)} behaviours")


def _how_to_read(read: str) -> str:
    if read.startswith("before"):
        return "A token's score speaks of what comes after it, a sentence's of the sentence itself."
    if read in ("last", "first"):
        return f"Of each sentence only the {read} token was read in training; scores elsewhere are extrapolations."
    return (
        "The probes were trained on means over sentences, and a single token is a noisy case for them; the score of a "
        "sentence is what the figures of the training speak of."
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _said(value: float, is_log_odds: bool) -> str:
    return f"{_signed(value)} ({_share(value)})" if is_log_odds else _signed(value)


def _signed(number: float) -> str:
    return f"{number:+.2f}".replace("-", "−")


def _share(log_odds: float) -> str:
    return f"{0.5 * (1 + math.tanh(0.5 * log_odds)):.0%}"
