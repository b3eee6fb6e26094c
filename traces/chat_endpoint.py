"""Ask a chat-completions endpoint for one reply, and try again while it is busy or out of reach.

Without a connection, without an answer in time and on 408, 429 and 5xx it is tried again, after waits that double or
are as long as the endpoint asks for. Any other refusal is final. Redirections are not followed, since the key would be
sent to another address.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from ..rundir import InputError

MAX_WAIT_S = 60.0
BUSY = (408, 429)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def ask(url: str, body: Mapping[str, Any], *, secret: str | None, timeout_s: float, n_tries: int, wait_s: float) -> str:
    """Return the text of the reply; raise InputError if the endpoint refuses, answers otherwise, or is out of reach."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {secret}"} if secret else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    opener = urllib.request.build_opener(_NoRedirect)
    last_error, requested_wait_s = "", 0.0
    for number in range(n_tries):
        if number:
            time.sleep(min(max(wait_s * 2 ** (number - 1), requested_wait_s), MAX_WAIT_S))
        try:
            with opener.open(request, timeout=timeout_s) as answer:
                return _text(url, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                reply = error.read()[:200].decode("utf-8", "replace")
            last_error = f"{error.code} {error.reason}: {reply.replace(secret, '(key)') if secret else reply}"
            if error.code not in BUSY and error.code < 500:
                raise InputError(f"{url} refuses: {last_error}. Check the address, the model and the key.") from error
            requested_wait_s = _requested_wait(error)
        except (OSError, HTTPException) as error:  # URLError and timeouts are OSErrors
            last_error = str(error) or type(error).__name__
    raise InputError(
        f"{url} gave no answer in {n_tries} tries ({last_error}). What was answered is kept: try again later."
    )


def _requested_wait(error: urllib.error.HTTPError) -> float:
    try:
        return float(error.headers.get("Retry-After") or 0)
    except ValueError:  # a date
        return 0.0


def _text(url: str, content: bytes) -> str:
    try:
        return str(json.loads(content)["choices"][0]["message"]["content"] or "")
    except (ValueError, LookupError, TypeError) as error:
        reply = content[:200].decode("utf-8", "replace")
        raise InputError(f"{url} does not answer as a chat-completions endpoint: {reply!r}") from error
