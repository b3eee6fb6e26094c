"""Take secrets out of text in every form in which an endpoint may echo them.

A secret is a key, a value of an address's query, or the password of a proxy. It is found as it is, percent-encoded,
escaped as in JSON or HTML, and in base64 at every alignment (as within `user:key` of Basic authentication).
"""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
import urllib.request
from dataclasses import dataclass

import httpx

HIDDEN = "(key)"
MIN_CHARACTERS = 4  # shorter ones are no secrets, and occur in words
MIN_IN_REPLY = 8  # what a model replies may hold a placeholder of a key ("no") in its own right


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
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= MIN_CHARACTERS}
        forms |= {key} if key else set()  # also a short one
        return cls(_pattern(forms), _pattern({form for form in forms if len(form) >= MIN_IN_REPLY}))

    def scrub(self, text: str) -> str:
        """Replace every secret in a text."""
        return text if self.pattern is None else self.pattern.sub(HIDDEN, text)

    def scrub_reply(self, text: str) -> str:
        """Replace every secret in what a model replies, but for placeholders that are words of it."""
        return text if self.in_reply is None else self.in_reply.sub(HIDDEN, text)


def _pattern(forms: set[str]) -> re.Pattern[str] | None:
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if forms else None


def _forms(secret: str) -> set[str]:
    encoded = {urllib.parse.quote(secret, safe=""), urllib.parse.quote(secret), urllib.parse.quote_plus(secret)}
    escaped = {json.dumps(secret)[1:-1], html.escape(secret), repr(secret)[1:-1]}
    everywhere = {"".join(f"%{byte:02X}" for byte in secret.encode())}
    return {secret} | encoded | escaped | everywhere | _base64_forms(secret.encode())


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
