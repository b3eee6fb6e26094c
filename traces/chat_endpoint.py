"""Ask a chat-completions endpoint for one reply, and try again while it is busy or out of reach.

Without a connection, without a whole answer in time and on 408, 429 and 5xx it is tried again, after waits that double
or are as long as the endpoint asks for. Any other refusal is final. Redirections are not followed, since the key would
be sent to another address. A request has one deadline, whatever trickles in meanwhile, and a reply has a largest size.
An event ends waits and requests alike, so that an interrupt need not wait for the endpoint.
Nothing that is returned, raised or logged holds the key (`scrubbing.py`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar

import httpx

from ..rundir import InputError, brief
from .scrubbing import Scrubber

MAX_WAIT_S = 60.0
MAX_BYTES = 8 * 2**20  # of a reply
MAX_ERROR_BYTES = 2**16  # of a refusal
MAX_SHOWN = 200  # characters of a reply in a message
POLL_S = 0.1  # between looks at the event that ends a request
T = TypeVar("T")
BUSY = (408, 429)
TOO_LONG = (400, 413, 422)  # statuses with which a request is refused that does not fit into the model's context
# What such a refusal says, in the words of OpenAI, vLLM, SGLang, TGI, llama.cpp and others: of tokens, and of a limit.
OF_TOKENS = re.compile("token|context|max_model_len|prompt", re.IGNORECASE)
OF_LIMITS = re.compile(
    "exceed|too (?:long|large)|(?:greater|less) than|at most|fewer|reduce|must be <|maximum|[0-9] > [0-9]|"
    "context.(?:length|size|window)",
    re.IGNORECASE,
)
OF_SCHEMA = re.compile(
    "response_format|json_schema|invalid schema|grammar", re.IGNORECASE
)  # refused for another reason
THOUGHTS = ("reasoning_content", "reasoning")  # fields of a message in which endpoints keep thoughts apart
_LOGGERS = ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))


Kind = Literal["refused", "too long", "busy", "out of reach", "too late", "malformed"]


class Stopped(Exception):
    """Says that asking was ended from outside, without a reply."""


class NoReply(InputError):
    """Says that an endpoint gave no reply that can be used."""

    def __init__(self, message: str, kind: Kind, status: int | None = None) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.status = status  # of HTTP; None: there was no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model replied, and what the endpoint says of it; None where it says nothing or nothing that can be."""

    text: str
    thoughts: str = ""  # which some endpoints keep apart
    end: str | None = None  # why it ended: "stop", "length", ...
    n_tokens: int | None = None
    model: str | None = None

    __repr__ = brief


def endpoint_url(address: str, whose: str = "an endpoint's") -> httpx.URL:
    """Read the address of an endpoint.

    Args:
        address: Up to and with the version, such as https://host/v1.
        whose: For messages, such as "a judge's".

    Returns:
        The address with which chat completions are asked for; a query stays at its end.

    Raises:
        InputError: It is no address of http or https, or holds a user name or key.
    """
    try:
        url = httpx.URL(address.strip())
        is_usable = url.scheme in ("http", "https") and bool(url.host) and (url.port is None or 0 < url.port < 2**16)
    except (httpx.InvalidURL, ValueError, TypeError):
        is_usable = False
    if not is_usable:
        shown = f"not {address.split('@')[-1].split('?')[0]!r:.80}"
        if "://" not in address:
            shown = "this one has no scheme (it is not shown: it could be a key)"
        raise InputError(f"{whose} address begins with http:// or https://, as https://host/v1; {shown}")
    if url.userinfo:
        raise InputError(
            f"{whose} address at {url.host} holds a user name or key: leave it out, and give the key in an "
            "environment variable (--key-variable, --judge-key-variable)"
        )
    return url.copy_with(path=f"{url.path.rstrip('/')}/chat/completions", fragment=None)


def ask(
    url: httpx.URL,
    body: Mapping[str, Any],
    *,
    secret: str | None,
    timeout_s: float,
    n_tries: int,
    wait_s: float,
    stop: threading.Event,
    deadline_s: float = math.inf,
) -> Reply:
    """Ask for one reply. Call it in a thread without an event loop.

    Args:
        url: `endpoint_url` of the endpoint.
        body: The request, written as JSON.
        secret: The key, which is sent as a bearer token; None sends none.
        timeout_s: Seconds for each try, from its begin to the end of the reply.
        n_tries: Tries while the endpoint is busy or out of reach.
        wait_s: Seconds before the second try; doubled before each later one.
        stop: Ends a wait at once, and a request within a tenth of a second, when it is set.
        deadline_s: Seconds for all tries and waits together.

    Returns:
        The reply, without the key.

    Raises:
        NoReply: The endpoint refuses, answers otherwise than one of chat completions, or is out of reach; an
            InputError.
        Stopped: `stop` was set before there was a reply.
    """
    scrubber = Scrubber.of(secret, url)
    place = str(url.copy_with(query=None))
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    headers |= {"Authorization": f"Bearer {secret}"} if secret else {}
    last_error, requested_wait_s, end_s = "", 0.0, time.monotonic() + deadline_s
    kind: Kind = "out of reach"
    status: int | None = None
    for number in range(n_tries):
        pause_s = min(max(wait_s * 2 ** (number - 1), requested_wait_s), MAX_WAIT_S) if number else 0.0
        left_s = end_s - time.monotonic() - pause_s
        if left_s <= 0:
            raise NoReply(
                f"{place} gave no answer within {deadline_s:g} s ({last_error}). Try again later.", "too late"
            )
        if stop.wait(pause_s):
            raise Stopped
        try:
            with _scrubbed_logs(scrubber):
                status, reason, wait, content = asyncio.run(
                    _until(stop, _post(url, json.dumps(body).encode(), headers, min(timeout_s, left_s)))
                )
        except TimeoutError:
            last_error, kind = f"timed out after {min(timeout_s, left_s):g} s", "too late"
            continue
        except (httpx.HTTPError, OSError) as error:
            kind = "out of reach"
            last_error = scrubber.scrub(_reason(error))[:MAX_SHOWN]
            continue
        except (httpx.InvalidURL, httpx.StreamError, ValueError) as error:
            message = f"{place} cannot be asked: {scrubber.scrub(_reason(error))[:MAX_SHOWN]}"
            raise NoReply(message, "malformed") from None
        if 200 <= status < 300:
            return _reply(place, content, scrubber)
        shown = scrubber.scrub(content.decode("utf-8", "replace"))[:MAX_SHOWN]
        last_error = f"{status} {scrubber.scrub(reason)[:MAX_SHOWN]}" + (f": {shown}" if shown.strip() else "")
        if 300 <= status < 400:
            raise NoReply(
                f"{place} refuses: {last_error}. Redirections are not followed, since the key would be sent with them: "
                "give the address that it leads to.",
                "refused",
                status,
            )
        if status in TOO_LONG and is_about_length(content.decode("utf-8", "replace")):
            message = f"{place} refuses: {last_error}. Ask for fewer tokens, or serve the model with a longer context."
            raise NoReply(message, "too long", status)
        if status not in BUSY and status < 500:
            message = f"{place} refuses: {last_error}. Check the address, the model and the key."
            raise NoReply(message, "refused", status)
        requested_wait_s, kind = wait, "busy"
    tries = "1 try" if n_tries == 1 else f"{n_tries} tries"
    raise NoReply(f"{place} gave no answer in {tries} ({last_error}). Try again later.", kind, status)


def is_about_length(refusal: str) -> bool:
    """Tell whether a refusal says that a request, or the reply that it allows, is too long for the model."""
    return bool(OF_TOKENS.search(refusal) and OF_LIMITS.search(refusal) and not OF_SCHEMA.search(refusal))


async def _until(stop: threading.Event, request: Coroutine[Any, Any, T]) -> T:
    """Wait for a request, and cancel it when `stop` is set, which no event loop can wait for."""
    task = asyncio.ensure_future(request)
    while not (await asyncio.wait({task}, timeout=POLL_S))[0]:
        if stop.is_set():
            task.cancel()
            await asyncio.wait({task})
            raise Stopped
    return task.result()


async def _post(
    url: httpx.URL, body: bytes, headers: Mapping[str, str], timeout_s: float
) -> tuple[int, str, float, bytes]:
    """Post a request; return status, reason, seconds until the next one, and the reply as far as it is read."""
    async with asyncio.timeout(timeout_s), httpx.AsyncClient(follow_redirects=False, timeout=None) as client:
        async with client.stream("POST", url, content=body, headers=headers) as response:
            limit = MAX_BYTES if response.is_success else MAX_ERROR_BYTES
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > limit:
                    break
            if response.is_success and len(content) > limit:
                raise httpx.StreamError(f"it answers with more than {limit:,} bytes")
            return response.status_code, response.reason_phrase, _requested_wait(response), bytes(content[:limit])


def _requested_wait(response: httpx.Response) -> float:
    requested = response.headers.get("Retry-After") or "0"
    try:
        seconds = float(requested)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(requested) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # neither seconds nor a date with its zone
            return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _reason(error: BaseException) -> str:
    """Say what is at the bottom of an error of a connection."""
    reason = str(error) or type(error).__name__
    while (cause := error.__cause__ or error.__context__) is not None:
        error, reason = cause, str(cause) or reason
    return "connection refused" if isinstance(error, ConnectionRefusedError) else reason


def _reply(place: str, content: bytes, scrubber: Scrubber) -> Reply:
    try:
        answer = json.loads(content)
        choice = answer["choices"][0]
        message = choice["message"]
        text = message["content"]
        if isinstance(text, list):  # of parts
            text = "".join(part["text"] for part in text if part.get("type", "text") in ("text", "output_text"))
        if text is not None and not isinstance(text, str):
            raise TypeError
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        shown = scrubber.scrub(content[:MAX_ERROR_BYTES].decode("utf-8", "replace"))[:MAX_SHOWN]
        raise NoReply(f"{place} does not answer as a chat-completions endpoint: {shown!r}", "malformed") from None
    thoughts = next((message[key] for key in THOUGHTS if isinstance(message.get(key), str)), "")
    usage = answer.get("usage")
    n_tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    end, model = choice.get("finish_reason"), answer.get("model")
    return Reply(
        text=scrubber.scrub_reply(text or ""),
        thoughts=scrubber.scrub_reply(thoughts),
        end=end if isinstance(end, str) else None,
        n_tokens=n_tokens if type(n_tokens) is int and n_tokens >= 0 else None,
        model=scrubber.scrub(model) if isinstance(model, str) else None,
    )


@contextmanager
def _scrubbed_logs(scrubber: Scrubber) -> Iterator[None]:
    """Keep secrets out of what the HTTP library logs: addresses and headers."""

    def scrub(record: logging.LogRecord) -> bool:
        record.msg, record.args = scrubber.scrub(record.getMessage()), ()
        return True

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(scrub)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(scrub)
