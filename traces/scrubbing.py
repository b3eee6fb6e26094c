r"""Take secrets out of text in every form in which an endpoint may echo them.

A secret is a key, a value of an address's query, or the password of a proxy. Each of its characters is found as it is
and in every escape of its own (JSON, percent, HTML, quoted-printable), in any mixture and with white space, line breaks
or zero bytes between them, as in UTF-16. The same holds of its base64 at every alignment (as within `user:key` of Basic
authentication) and of its bytes in hex. What an endpoint masks itself (`sk-abc****wxyz`) shows a part of the key: that
too is taken out.
"""

from __future__ import annotations

import base64
import html.entities
import re
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

HIDDEN = "(key)"
MIN_CHARACTERS = 4  # shorter ones are no secrets, and occur in words
MIN_IN_REPLY = 8  # what a model replies may hold a placeholder of a key ("no") in its own right
MIN_SHOWN = 4  # characters beside a mask that give a key away

# Bounds on repeats keep the time linear in the text, whatever an endpoint sends; `*+` gives nothing back.
_BETWEEN = r"(?:[\s\0\u00ad\u200b-\u200d\u2060\ufeff]|\\{1,4}(?:[nrt0]|u0000)|&#0{0,6}(?:10|13);|=\r?\n)*+"
_BETWEEN_BYTES = r"(?:[\s\0:,-]|\\{0,4}x|0x)*+"
_MASK = r"(?:\*{3}|x{4}|\.{3}|[•●∙·…█])"
_ENTITIES: dict[str, list[str]] = {}
for _name, _character in html.entities.html5.items():
    _ENTITIES.setdefault(_character, []).append(_name.rstrip(";"))


@dataclass(frozen=True, slots=True)
class Scrubber:
    """Patterns of all forms of some secrets, and of those that no model replies by chance."""

    pattern: re.Pattern[str] | None
    in_reply: re.Pattern[str] | None

    @classmethod
    def of(cls, key: str | None, url: httpx.URL) -> Scrubber:
        """Collect the secrets of a request.

        Args:
            key: That is sent with it; None without one.
            url: Its address; what its query holds is secret.

        Returns:
            What takes them out of a text.
        """
        secrets = {key or "", *(value for _, value in url.params.multi_items())}
        for proxy in urllib.request.getproxies().values():
            try:
                secrets.add(urllib.parse.unquote(urllib.parse.urlsplit(proxy).password or ""))
            except ValueError:  # not an address
                continue
        long_first = sorted(secrets, key=len, reverse=True)
        everywhere = [form for secret in long_first if len(secret) >= MIN_CHARACTERS for form in _forms(secret)]
        everywhere += [re.escape(key)] if key else []  # also a short one
        in_reply = [form for secret in long_first if len(secret) >= MIN_IN_REPLY for form in _forms(secret)]
        return cls(_pattern(everywhere), _pattern(in_reply))

    def scrub(self, text: str) -> str:
        """Replace every secret in a text."""
        return text if self.pattern is None else self.pattern.sub(HIDDEN, text)

    def scrub_reply(self, text: str) -> str:
        """Replace every secret in what a model replies, but for placeholders that are words of it."""
        return text if self.in_reply is None else self.in_reply.sub(HIDDEN, text)


def _pattern(forms: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(forms), re.IGNORECASE) if forms else None


def _forms(secret: str) -> list[str]:
    """Write the patterns of a secret, those that hide most of a text first."""
    hexadecimal = _BETWEEN_BYTES.join(f"{byte:02x}" for byte in secret.encode("utf-8", "surrogatepass"))
    spelled = [_spelled(secret), re.escape(secret)]  # the latter for one that holds what looks like a break
    encoded = map(_spelled, sorted(_base64_forms(secret.encode("utf-8", "surrogatepass")), key=len, reverse=True))
    return [*spelled, *encoded, hexadecimal, *(_masked(secret) if len(secret) >= MIN_IN_REPLY else ())]


def _spelled(text: Iterable[str]) -> str:
    """Write the pattern of a text of which any character may be escaped."""
    return _BETWEEN.join(map(_escapes, text))


def _escapes(character: str) -> str:
    """Write the pattern of one character and its escapes; escapes of escapes with them."""
    code, in_bytes = ord(character), character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    in_json = r"\\{1,4}".join(f"u{units[start : start + 4]}" for start in range(0, len(units), 4))
    escaped = [in_json, rf"u\{{0{{0,6}}{code:x}\}}", rf"[xU]0{{0,6}}{code:x}", f"0{{0,1}}{code:o}"]
    numbered = [f"#0{{0,6}}{code}", f"#x0{{0,6}}{code:x}", *map(re.escape, _ENTITIES.get(character, ()))]
    percent = "".join(f"%(?:25){{0,4}}{byte:02x}" for byte in in_bytes)
    quoted = "".join(f"={byte:02x}" for byte in in_bytes)
    # The plain character with its backslashes stands first: it is by far the most usual.
    return (
        rf"(?:\\{{0,4}}{re.escape(character)}|\\{{1,4}}(?:{'|'.join(escaped)})|{percent}"
        rf"|&(?:amp;){{0,4}}(?:{'|'.join(numbered)});?|{quoted})"
    )


def _masked(secret: str) -> list[str]:
    """Write the patterns of what an endpoint shows of a secret beside a mask: its begin, its end."""
    begin = rf"{_spelled(secret[:MIN_SHOWN])}[!-~]{{0,{6 * len(secret)}}}?{_MASK}(?:[*x.•●∙·…█])*+"
    end = _spelled(secret[-MIN_SHOWN:])
    return [rf"{begin}[^\s\"'<>,;:]{{0,{6 * len(secret)}}}", rf"{_MASK}{end}"]


def _base64_forms(secret: bytes) -> set[str]:
    """List the characters of a base64 text that depend on the secret alone, for each place at which it may begin."""
    forms = set()
    for n_before in range(3):
        first, last = -(-n_before * 8 // 6), (n_before + len(secret)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            form = encode(b"\0" * n_before + secret).decode()[first:last]
            if len(form) >= 8:
                forms.add(form)
    return forms
