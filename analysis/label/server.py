"""Answer with the page of a review on this machine, to the one who holds its address.

The address holds a token that works once: it is exchanged for a cookie, so that an address in a history or a log opens
nothing. Every request must be to 127.0.0.1 or localhost by name (a page elsewhere that rebinds its name is refused),
one that changes something must come from the page itself (Origin), and all but the first need the cookie. The page may
load nothing from elsewhere, and puts what models wrote into it as text.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import threading
import webbrowser
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ...figures.page import render
from ...rundir import InputError
from .review import Review, open_review

logger = logging.getLogger(__name__)
MAX_BYTES = 10_000  # of a request
TIMEOUT_S = 30.0  # of a connection that sends nothing


class ReviewServer(ThreadingHTTPServer):
    """A server of one review, on 127.0.0.1 at a free port unless one is asked for."""

    daemon_threads = True

    def __init__(self, review: Review, port: int = 0) -> None:
        self.review = review
        self.session = secrets.token_urlsafe(24)
        self._token: str | None = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def address(self) -> str:
        """Where the page is opened, once."""
        return f"http://127.0.0.1:{self.server_port}/?token={self._token}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which it may be reached."""
        return (f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}")

    @property
    def cookie(self) -> str:
        """The name of its cookie, which other servers of this machine do not share."""
        return f"reasonlens-{self.server_port}"

    def exchange(self, token: str) -> bool:
        """Take a token, which works once; return whether it is the right one."""
        with self._lock:
            is_right = self._token is not None and hmac.compare_digest(token.encode(), self._token.encode())
            if is_right:
                self._token = None
            return is_right


class _Handler(BaseHTTPRequestHandler):
    """Answer the requests of the page."""

    server: ReviewServer
    timeout = TIMEOUT_S
    server_version, sys_version = "reasonlens", ""

    def do_GET(self) -> None:
        """Answer with the page, the overview or a trace."""
        if not self._is_from_here():
            return
        place = urlsplit(self.path)
        query = parse_qs(place.query)
        if place.path == "/" and "token" in query:
            if not self.server.exchange(query["token"][0]):
                self._refuse(403, "this address worked once; end the review and start it again")
                return
            self._send(303, b"", location="/", cookie=True)
        elif not self._has_session():
            return
        elif place.path == "/":
            nonce = secrets.token_urlsafe(16)
            overview = self.server.review.overview()
            counts = {name: sum(row[name] for row in overview["traces"]) for name in ("n_open", "n_disputed")}
            shown = {"file": overview["file"], **counts}
            page = render("review.html.jinja", shown, {}, scripts=("review.js",), nonce=nonce)
            self._send(200, page.encode(), "text/html; charset=utf-8", nonce=nonce)
        elif place.path == "/overview":
            self._send_json(self.server.review.overview())
        elif place.path == "/trace":
            self._answer(lambda: self.server.review.trace(int(query["place"][0])))
        else:
            self._refuse(404, "there is nothing here")

    def do_POST(self) -> None:
        """Keep a correction, or end the review."""
        if not self._is_from_here() or not self._has_session():
            return
        if self.headers.get("Origin") not in [f"http://{host}" for host in self.server.hosts]:
            self._refuse(403, "only the page of the review may change something")
            return
        content = self._content()
        if content is None:
            return
        if self.path == "/correct":
            self._answer(lambda: self._correct(content))
        elif self.path == "/end":
            self._send_json({"ended": True})
            threading.Thread(target=self.server.shutdown).start()
        else:
            self._refuse(404, "there is nothing here")

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: an address may hold the token."""

    def _correct(self, content: dict[str, Any]) -> dict[str, Any]:
        label = content["label"]
        if label is not None and not isinstance(label, str):
            raise InputError("a label is a text or null")
        self.server.review.correct(content["place"], content["sentence"], label)
        review = self.server.review
        counts = review.counts(content["place"])
        return {"trace": review.trace(content["place"]), "counts": counts, "n_reviewed": review.n_reviewed}

    def _content(self) -> dict[str, Any] | None:
        """Read the JSON of a request; refuse what is none, or large."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BYTES:
            self._refuse(413, f"a correction has fewer than {MAX_BYTES} bytes")
            return None
        try:
            content = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            content = None
        if self.headers.get_content_type() != "application/json" or not isinstance(content, dict):
            self._refuse(400, "a correction is an object of JSON")
            return None
        return content

    def _is_from_here(self) -> bool:
        if self.headers.get("Host") in self.server.hosts:
            return True
        self._refuse(403, "the review is reached at 127.0.0.1 only")
        return False

    def _has_session(self) -> bool:
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(self.server.cookie)
        except CookieError:
            cookie = None
        if cookie is not None and hmac.compare_digest(cookie.value.encode(), self.server.session.encode()):
            return True
        self._refuse(403, "open the address that `reasonlens label review` printed")
        return False

    def _answer(self, make: Any) -> None:
        """Send what is made; a user's mistake and a field that is missing are refused in a line."""
        try:
            content = make()
        except InputError as error:
            self._refuse(400, str(error))
        except (LookupError, ValueError):
            self._refuse(400, "a field of the request is missing or no number")
        else:
            self._send_json(content)

    def _send_json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), "application/json")

    def _refuse(self, status: int, reason: str) -> None:
        self.close_connection = True  # what is left of the request is not read
        self._send(status, reason.encode(), "text/plain; charset=utf-8")

    def _send(
        self,
        status: int,
        content: bytes,
        kind: str = "text/plain",
        *,
        nonce: str = "",
        location: str = "",
        cookie: bool = False,
    ) -> None:
        sources = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; " if nonce else ""
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": f"default-src 'none'; {sources}base-uri 'none'; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        headers |= {"Location": location} if location else {}
        if cookie:
            headers["Set-Cookie"] = f"{self.server.cookie}={self.server.session}; HttpOnly; SameSite=Strict; Path=/"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def label_review(file: str | Path, *, port: int = 0, browser: bool = True) -> int:
    """Let a person read traces with their labels on a page and correct them, until the review is ended.

    Args:
        file: A file that `label` wrote. Corrections are saved at once, as the annotator `person`; the end of the review
            writes them into the file.
        port: Where it is served on 127.0.0.1; 0 takes a free one.
        browser: Open the page in a browser.

    Returns:
        How many sentences of the file a person has labelled.

    Raises:
        InputError: The file holds no labels or cannot be written, or the port is in use.
    """
    with open_review(file) as review:
        try:
            server = ReviewServer(review, port)
        except (OSError, OverflowError) as error:
            raise InputError(f"cannot serve at port {port} of 127.0.0.1 ({error}): take another port, or 0") from error
        with server:
            logger.info(f"review of {review.file}: {server.address} (it opens once; end it there, or with Ctrl-C)")
            if browser:
                webbrowser.open(server.address)
            try:
                server.serve_forever(poll_interval=0.1)
            except KeyboardInterrupt:
                logger.info("ended; every correction is saved")
        return review.n_reviewed
