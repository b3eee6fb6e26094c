"""Ask a chat-completions endpoint for samples: OpenAI's, or a local vLLM, llama.cpp or `transformers serve`.

1. Each sample is one request with a seed of its own (an endpoint may not heed it), several at the same time.
2. While the endpoint is busy or out of reach a request is tried again, up to a deadline; a reply that is none of chat
   completions is asked for again twice. What is wrong with a request or reply fails that sample alone.
3. A wrong key, address or model, and many failures in a row, end the run. Replies that came are kept in any case.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...rundir import InputError, looked_at, number_between, shown, text_of, whole_number
from ...traces.asking import LAST_S, in_threads, secret_of
from ...traces.chat_endpoint import NoReply, Reply, Stopped, ask, endpoint_url
from .engine import Engine, Keep, Manner, Place, Request, Response, cut, sample_seed

logger = logging.getLogger(__name__)

MAX_S = 86_400.0
N_MALFORMED = 3  # replies to one request that may be of no use
N_IN_A_ROW = 8  # failures, with no reply between them, that end the run
FINAL = (401, 402, 403, 404, 405)  # statuses that every request would meet
OWN = ("model", "messages", "stream")


@dataclass(frozen=True, kw_only=True, repr=False)
class Endpoint:
    """Where an endpoint is reached, and how often it is tried."""

    url: str  # up to and with the version: https://host/v1
    key_variable: str = "OPENAI_API_KEY"  # the environment variable that holds the key; without it none is sent
    timeout_s: float = 600.0  # for each try, from its begin to the end of the reply
    deadline_s: float = 1800.0  # for all tries of a request together
    n_tries: int = 8
    wait_s: float = 1.0  # before the second try; doubled before each later one, or as long as the endpoint asks
    n_parallel: int = 8  # samples asked for at the same time
    # Further fields of each request; None leaves one out: {"max_tokens": None, "max_completion_tokens": 2048}.
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        endpoint_url(text_of(self.url, "an endpoint's url"))  # refuses what is none
        if not text_of(self.key_variable, "an endpoint's key_variable").strip():
            raise InputError("an endpoint's key_variable is empty: give the name of an environment variable")
        for name in ("timeout_s", "deadline_s"):
            number_between(getattr(self, name), f"an endpoint's {name}", 1e-3, MAX_S)
        number_between(self.wait_s, "an endpoint's wait_s", 0, MAX_S)
        whole_number(self.n_tries, "an endpoint's n_tries")
        whole_number(self.n_parallel, "an endpoint's n_parallel")
        if not isinstance(self.options, Mapping) or set(OWN) & set(self.options):
            raise InputError(
                f"an endpoint's options are further fields of a request by name, and {shown(self.options)} are none "
                f"or hold {', '.join(OWN)}, which are sent anyway"
            )

    @looked_at(".url, .key_variable")
    def __repr__(self) -> str:
        return f"Endpoint({endpoint_url(self.url).host}, key in {self.key_variable})"


@dataclass(frozen=True, eq=False)
class EndpointWriter:
    """A model behind an endpoint."""

    model: str
    endpoint: Endpoint

    def write(self, requests: Sequence[Request], manner: Manner, done: Collection[int], keep: Keep) -> Counter[str]:
        """Write a response to each request that has none yet; see `Writer.write`."""
        stop, failures, lock = threading.Event(), Counter[str](), threading.Lock()
        in_a_row: list[NoReply] = []
        is_over = False  # what is kept may be another's by then

        def ask_once(request: Request) -> None:
            try:
                reply = self._reply(request, manner, stop, failures, lock)
            except NoReply as error:
                with lock:
                    in_a_row.append(error)
                    failures[f"samples without a reply ({error.kind})"] += 1
                    if error.status in FINAL or 300 <= (error.status or 0) < 400 or len(in_a_row) >= N_IN_A_ROW:
                        raise
                logger.info(f"a sample is missing: {error}")
                return
            with lock:
                if is_over:
                    raise Stopped
                in_a_row.clear()
                keep(request.number, _response(reply, manner))

        missing = [request for request in requests if request.number not in done]
        try:
            in_threads(self.endpoint.n_parallel, ask_once, missing, stop, LAST_S)
        finally:
            with lock:
                is_over = True
        return failures

    def _reply(
        self, request: Request, manner: Manner, stop: threading.Event, failures: Counter[str], lock: threading.Lock
    ) -> Reply:
        for number in range(1, N_MALFORMED + 1):
            try:
                return ask(
                    endpoint_url(self.endpoint.url),
                    self.body(request, manner),
                    secret=secret_of(self.endpoint.key_variable),
                    timeout_s=self.endpoint.timeout_s,
                    deadline_s=self.endpoint.deadline_s,
                    n_tries=self.endpoint.n_tries,
                    wait_s=self.endpoint.wait_s,
                    stop=stop,
                )
            except NoReply as error:
                if error.kind != "malformed":
                    raise
                with lock:
                    failures["malformed replies"] += 1
                if number == N_MALFORMED:
                    raise
        raise AssertionError("unreachable")

    def body(self, request: Request, manner: Manner) -> dict[str, Any]:
        """Make what is sent for one sample."""
        system = [{"role": "system", "content": manner.system}] if manner.system else []
        body = {
            "model": self.model,
            "messages": [*system, {"role": "user", "content": request.prompt}],
            "max_tokens": manner.sampling.max_new_tokens,
            "temperature": manner.sampling.temperature,
            "top_p": manner.sampling.top_p,
            "seed": sample_seed(manner.seed, request.number),
            **({"stop": list(manner.stop)} if manner.stop else {}),
            **self.endpoint.options,
        }
        return {name: value for name, value in body.items() if value is not None}


def _response(reply: Reply, manner: Manner) -> Response:
    """Make a response of a reply, believing of it what can be."""
    most = manner.sampling.max_new_tokens
    text = cut(reply.text, manner.stop)
    if reply.thoughts:
        closer = "\n</think>\n\n" if text.strip() or reply.end == "stop" else ""
        text = f"<think>\n{reply.thoughts}{closer}{text}"
    n_tokens = reply.n_tokens if reply.n_tokens is not None and reply.n_tokens <= most else None
    is_full = n_tokens is not None and n_tokens >= most
    return Response(
        text=_without_halves(text),
        n_tokens=n_tokens,
        is_truncated=reply.end != "stop" if reply.end is not None else is_full,
        writer=reply.model,
    )


def _without_halves(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can hold and no file of text can."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _open(model: Any, place: Place) -> EndpointWriter:
    if not isinstance(place.endpoint, Endpoint):
        raise InputError("the engine openai needs an endpoint: give --url https://host/v1 (endpoint=Endpoint(url=...))")
    secret_of(place.endpoint.key_variable)  # refuses what is no key
    return EndpointWriter(_identify(model, place), place.endpoint)


def _identify(model: Any, place: Place) -> str:
    if not isinstance(model, str) or not model.strip():
        raise InputError(f"an endpoint's model is a name, as the endpoint calls it, and {shown(model)} is none")
    return model


OPENAI = Engine(identify=_identify, open=_open)
