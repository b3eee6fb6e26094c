"""One reply of a chat-completions endpoint, asked again while it is busy or out of reach.

Tried again, with waits that double or as long as it asks for: no connection, no answer in time, 408, 429 and 5xx. Any
other refusal will not change. Redirections are not followed: the key would go with them to another place.
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

LONGEST_WAIT_S = 60.0
BUSY = (408, 429)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def ask(url: str, body: Mapping[str, Any], *, secret: str | None, timeout_s: float, n_tries: int, wait_s: float) -> str:
    """The text of the reply. Raises InputError where the endpoint refuses, answers otherwise, or stays out of reach."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {secret}"} if secret else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    opener = urllib.request.build_opener(_NoRedirect)
    last, asked_for_s = "", 0.0
    for number in range(n_tries):
        if number:
            time.sleep(min(max(wait_s * 2 ** (number - 1), asked_for_s), LONGEST_WAIT_S))
        try:
            with opener.open(request, timeout=timeout_s) as answer:
                return _text(url, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                said = error.read()[:200].decode("utf-8", "replace")
            last = f"{error.code} {error.reason}: {said.replace(secret, '(key)') if secret else said}"
            if error.code not in BUSY and error.code < 500:
                raise InputError(f"{url} refuses: {last}. Check the address, the model and the key.") from error
            asked_for_s = _asked_for(error)
        except (OSError, HTTPException) as error:  # URLError and timeouts are OSErrors
            last = str(error) or type(error).__name__
    raise InputError(f"{url} gave no answer in {n_tries} tries ({last}). What was answered is kept: try again later.")


def _asked_for(error: urllib.error.HTTPError) -> float:
    try:
        return float(error.headers.get("Retry-After") or 0)
    except ValueError:  # a date
        return 0.0


def _text(url: str, content: bytes) -> str:
    try:
        return str(json.loads(content)["choices"][0]["message"]["content"] or "")
    except (ValueError, LookupError, TypeError) as error:
        said = content[:200].decode("utf-8", "replace")
        raise InputError(f"{url} does not answer as a chat-completions endpoint: {said!r}") from error
