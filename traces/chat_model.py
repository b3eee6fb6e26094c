"""Ask a chat-completions endpoint many requests, a few at a time, and keep the replies.

Any endpoint with OpenAI's chat completions works (also a local vLLM or llama.cpp server). Each reply is a row of a log
under a digest of model, options and request, so that an interrupted run asks only what it has not asked yet.

A server of a short context refuses a request whose text and limit of the reply exceed it together. Then the limit is
halved, down to what the reply needs at least; such a refusal costs nothing and is not kept. A server may also lower the
limit by itself: a reply that is cut off with less than it needs is kept as none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..rundir import InputError, RowLog, looked_at, number_between, shown, text_of, whole_number
from .asking import LAST_S, in_threads, secret_of
from .chat_endpoint import NoReply, Reply, Stopped, ask, endpoint_url

logger = logging.getLogger(__name__)

MAX_S = 86_400.0  # of a try, or between tries
REPLY_TOKENS = 2048  # of a reply at most: room to think
LEAST_TOKENS = 64  # that a reply needs, where it is a word or a number
LIMITS = ("max_tokens", "max_completion_tokens")  # options that limit a reply
REPLY_COLUMNS = {"key": str, "reply": str | None}  # of a log of replies, whose key is `key`; None: had no room


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
    options: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0, "max_tokens": REPLY_TOKENS})

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

    def replies(
        self,
        requests: Sequence[str],
        log: RowLog,
        on_reply: Callable[[], object] = lambda: None,
        least: Sequence[int] | None = None,
        more_options: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[str | None]:
        """Ask what the log holds no reply to, several requests at a time.

        Args:
            requests: Texts, each the message of one request.
            log: A log of `REPLY_COLUMNS`, to which replies are added as they come.
            on_reply: Is called after each.
            least: Tokens that the reply to each request needs at least; None: `LEAST_TOKENS`.
            more_options: Options of each request beside those of all.

        Returns:
            The reply to each request; None for one that is too long for the model's context.

        Raises:
            InputError: The endpoint refuses or cannot be reached (a `NoReply`); earlier replies stay in the log.
        """
        url, secret, stop = endpoint_url(self.url), secret_of(self.key_variable), threading.Event()
        needed = list(least or [LEAST_TOKENS] * len(requests))
        options = list(more_options or [{}] * len(requests))
        bodies = [self._bodies(*request) for request in zip(requests, needed, options, strict=True)]

        def ask_once(alike: Sequence[dict[str, Any]], n_least: int) -> None:
            for place, body in enumerate(alike, start=1):
                try:
                    reply = ask(
                        url,
                        body,
                        secret=secret,
                        timeout_s=self.timeout_s,
                        n_tries=self.n_tries,
                        wait_s=self.wait_s,
                        stop=stop,
                    )
                except NoReply as error:
                    if error.kind != "too long":
                        raise
                    if place == len(alike):
                        logger.info(f"a request is too long: {error}")
                    continue
                if stop.is_set():  # the file may be another's by now
                    raise Stopped
                log.add([{"key": _key(body), "reply": None if _had_no_room(reply, body, n_least) else reply.text}])
                on_reply()
                return

        missing = {
            _key(alike[0]): (alike, n_least)
            for alike, n_least in zip(bodies, needed, strict=True)
            if not any(_key(body) in log for body in alike)
        }
        try:
            in_threads(self.n_parallel, lambda request: ask_once(*request), missing.values(), stop, LAST_S)
        except InputError as error:
            if log.path is None or not log:
                raise
            message = f"{str(error).rstrip('.')}. The replies so far are kept in {log.path}."
            if isinstance(error, NoReply):
                raise NoReply(message, error.kind, error.status) from None
            raise InputError(message) from None
        return [_logged(alike, log) for alike in bodies]

    def _bodies(self, text: str, n_least: int, more: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Make what is sent for a request: with the limit of the options, then with lower ones down to `n_least`."""
        body = {"model": self.model, **self.options, **more, "messages": [{"role": "user", "content": text}]}
        name = next((name for name in LIMITS if type(self.options.get(name)) is int), None)
        bodies = [body]
        while name is not None and (limit := bodies[-1][name]) > n_least:
            bodies.append(body | {name: max(limit // 2, n_least)})
        return bodies

    def _described(self) -> str:
        return f"{type(self).__name__}({self.model!r} at {endpoint_url(self.url).host}, key in {self.key_variable})"

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


def _key(body: Mapping[str, Any]) -> str:
    """Compute the digest under which the reply to a request is kept."""
    options = {name: value for name, value in body.items() if name not in ("model", "messages")}
    request = json.dumps([body["model"], options, body["messages"][0]["content"]], sort_keys=True)
    return hashlib.sha256(request.encode()).hexdigest()


def _had_no_room(reply: Reply, body: Mapping[str, Any], n_least: int) -> bool:
    """Tell whether a reply was cut off by the model's context, and not by its limit, before what it needs."""
    limits = [body[name] for name in LIMITS if type(body.get(name)) is int]
    return reply.end == "length" and reply.n_tokens is not None and reply.n_tokens < min([n_least, *limits])


def _logged(alike: Sequence[Mapping[str, Any]], log: RowLog) -> str | None:
    """Look up the reply to the first of some requests that differ in the limit of the reply; None: there is none."""
    return next((log[key]["reply"] for body in alike if (key := _key(body)) in log), None)
