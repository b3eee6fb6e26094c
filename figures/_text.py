"""Write text of others into figures and pages: markup in it is shown and not obeyed, and no character commands.

Plotly takes text for a small HTML: `<a href=…>` in a label would be a link in titles, ticks, legends and hovers.
Control characters (escape sequences of terminals) and those that turn the direction of writing could make text look
like other text; a replacement character stands in their place.
"""

from __future__ import annotations

import unicodedata
from html import escape

COMMANDING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories: control, format, half of a pair, separators


def neutral(text: str) -> str:
    """Replace each control or direction character of a text by a visible one; line breaks and tabs stay.

    Args:
        text: Any text.

    Returns:
        A text of the same length.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def plotly_text(text: str) -> str:
    """Convert a text to plotly's markup, so that it is shown as it is; a line break becomes one of plotly's.

    Args:
        text: Any text.

    Returns:
        Text in plotly's markup.
    """
    escaped = escape(neutral(text), quote=False).replace("%{", "&#37;{")  # which would be a field of a hover
    return escaped.replace("\n", "<br>")


def page_text(text: str) -> str:
    """Convert a text to HTML, so that a page shows it as it is.

    Args:
        text: Any text.

    Returns:
        HTML.
    """
    return escape(neutral(text))


def _shown(character: str) -> str:
    if character in "\n\r\t\N{ZERO WIDTH JOINER}" or unicodedata.category(character) not in COMMANDING:
        return character
    return chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\N{REPLACEMENT CHARACTER}"
