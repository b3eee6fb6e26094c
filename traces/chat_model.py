"""Ask a chat-completions endpoint many requests, a few at a time, and keep the replies.

Any endpoint with OpenAI's chat completions works (also a local vLLM or llama.cpp server). Each reply is a row of a log
under a digest of model, options and request, so that an interrupted run asks only what it has not asked yet.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..rundir import InputError, RowLog, looked_at, number_between, shown, text_of, whole_number
from .asking import in_threads, secret_of
from .chat_endpoint import Stopped, ask, endpoint_url

MAX_S = 86_400.0  # of a try, or between tries
REPLY_COLUMNS = {"key": str, "reply": str}  # of a log of replies, whose key is `key`


@dataclass(frozen=True, kw_only=True, repr=False)
class ChatModel:
    """A model that is asked, where it is reached, and how often it is tried."""

    ROLE: ClassVar[str] = "an endpoint"

    url: str  # up to and with the version: https://host/v1
    model: str
    key_variable: str = "OPENAI_API_KEY"  # the environment variable that holds the key; without it none is sent
    timeout_s: float = 60.0  # for each try, from its begin to the end of the reply
    n_tries: int = 5
    wait_s: float = 1.0  # before the second try; doubled before each later one
    n_parallel: int = 8  # requests at the same time
    options: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0, "max_tokens": 2048})  # room to think

    def __post_init__(self) -> None:
        endpoint_url(text_of(self.url, f"{self.ROLE}'s url"), f"{self.ROLE}'s")  # refuses what is none
        for name in ("model", "key_variable"):
            if not text_of(getattr(self, name), f"{self.ROLE}'s {name}").strip():
                raise InputError(f"{self.ROLE}'s {name} is empty: give a name")
        number_between(self.timeout_s, f"{self.ROLE}'s timeout_s", 1e-3, MAX_S)
        number_between(self.wait_s, f"{self.ROLE}'s wait_s", 0, MAX_S)
        whole_number(self.n_tries, f"{self.ROLE}'s n_tries")
        whole_number(self.n_parallel, f"{self.ROLE}'s n_parallel")
        self._check_options()

    @looked_at(".replies(requests, log)")
    def __repr__(self) -> str:
        return self._described()

    def replies(self, requests: Sequence[str], log: RowLog, on_reply: Callable[[], object] = lambda: None) -> list[str]:
        """Ask what the log holds no reply to, several requests at a time.

        Args:
            requests: Texts, each the message of one request.
            log: A log of `REPLY_COLUMNS`, to which replies are added as they come.
            on_reply: Is called after each.

        Returns:
            The reply to each request.

        Raises:
            InputError: The endpoint refuses or cannot be reached (earlier replies stay in the log).
        """
        keys = [self._key(text) for text in requests]
        missing = {key: text for key, text in zip(keys, requests, strict=True) if key not in log}
        body = {"model": self.model, **self.options}
        url, secret, stop = endpoint_url(self.url), secret_of(self.key_variable), threading.Event()

        def ask_once(key: str, text: str) -> None:
            reply = ask(
                url,
                {**body, "messages": [{"role": "user", "content": text}]},
                secret=secret,
                timeout_s=self.timeout_s,
                n_tries=self.n_tries,
                wait_s=self.wait_s,
                stop=stop,
            ).text
            if stop.is_set():  # the file may be another's by now
                raise Stopped
            log.add([{"key": key, "reply": reply}])
            on_reply()

        try:
            in_threads(self.n_parallel, lambda request: ask_once(*request), missing.items(), stop)
        except InputError as error:
            if log.path is None or not log:
                raise
            raise InputError(f"{error} The replies so far are kept in {log.path}.") from None
        return [log[key]["reply"] for key in keys]

    def _described(self) -> str:
        return f"{type(self).__name__}({self.model!r} at {endpoint_url(self.url).host}, key in {self.key_variable})"

    def _key(self, text: str) -> str:
        request = json.dumps([self.model, dict(self.options), text], sort_keys=True)
        return hashlib.sha256(request.encode()).hexdigest()

    def _check_options(self) -> None:
        """Refuse options that cannot be written as JSON, or that would replace what is sent anyway."""
        options: object = self.options
        try:
            if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
                raise TypeError
            json.dumps(dict(options), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise InputError(
                f"{self.ROLE}'s options are names and values that JSON can hold, such as {{'temperature': 0}}, and not "
                f"{shown(options)}"
            ) from None
        instead = {"model": f"give it as {type(self).__name__}(model=...)", "messages": "leave it out"}
        for name, remedy in instead.items():
            if name in options:
                raise InputError(
                    f"{self.ROLE}'s options hold {name!r}, which the {self.ROLE.split()[-1]} sends itself: {remedy}"
                )
