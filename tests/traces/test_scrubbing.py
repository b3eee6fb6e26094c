from __future__ import annotations

import html
import time
import urllib.parse
from collections.abc import Callable

import httpx
import pytest

from reasonlens.traces.scrubbing import HIDDEN, Scrubber

KEY = "ab/cd+ef==ghij1234"
URL = httpx.URL("https://host/v1/chat/completions")


def each(form: Callable[[str], str]) -> str:
    return "".join(map(form, KEY))


ECHOES = {
    "as it is": KEY,
    "JSON of PHP": KEY.replace("/", "\\/"),
    "JSON in JSON": KEY.replace("/", "\\\\\\/"),
    "JSON of .NET": KEY.replace("+", "\\u002B"),
    "HTML of Go": KEY.replace("+", "&#43;").replace("=", "&#61;"),
    "HTML by names": KEY.replace("/", "&sol;").replace("+", "&plus;").replace("=", "&equals;"),
    "HTML in HTML": html.escape(KEY.replace("+", "&#43;")),
    "percent in percent": urllib.parse.quote(urllib.parse.quote(KEY, safe="")),
    "every character in JSON": each(lambda character: f"\\u{ord(character):04x}"),
    "every character in decimal": each(lambda character: f"&#{ord(character):03d};"),
    "every character in hex entities": each(lambda character: f"&#X{ord(character):02X};"),
    "every character in percent": each(lambda character: f"%{ord(character):02X}"),
    "every character in bytes": each(lambda character: f"\\x{ord(character):02x}"),
    "hex": KEY.encode().hex(),
    "hex with colons": KEY.encode().hex(":").upper(),
    "quoted-printable": KEY.replace("=", "=3D"),
    "UTF-16": KEY.encode("utf-16").decode("utf-8", "replace"),
    "a line break inside": f"{KEY[:7]}\r\n  {KEY[7:]}",
    "an escaped line break inside": f"{KEY[:7]}\\n{KEY[7:]}",
    "mixed": "AB\\/c&#100;%2Bef=3D\\u003dgh\n\\x69j1234",
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
def test_a_key_whose_characters_are_escaped_one_by_one_is_taken_out(echo: str) -> None:
    scrubber = Scrubber.of(KEY, URL)
    for scrub in (scrubber.scrub, scrubber.scrub_reply):
        shown = scrub(f'{{"error": "no such key: {echo}"}}')
        assert HIDDEN in shown
        assert not {"ghij", "1234", "ab/", "67686", "\\u0061", "&#097", "g\0h"} & {
            shown[start : start + size] for start in range(len(shown)) for size in range(3, 7)
        }, shown


@pytest.mark.parametrize(
    "masked", ["sk-AbC/d+e****6xyz", "sk-AbC\\/d+e...6xyz", "sk-AbC…", "*****************6xyz", "sk-AxxxxXXXX6xyz"]
)
def test_what_an_endpoint_shows_beside_its_own_mask_is_taken_out(masked: str) -> None:
    shown = Scrubber.of("sk-AbC/d+e==fghij16xyz", URL).scrub(f'"Incorrect key: {masked}", "code": 7')
    assert not any(part in shown for part in ("sk-", "AbC", "d+e", "6xyz")), shown
    assert shown.startswith('"Incorrect key: ') and shown.endswith('", "code": 7')


def test_other_text_stays_as_it_is() -> None:
    text = "The model ab/cd is not there (sk-1...), 100% of *** tried: &#43; \\u002B 61622f63 Yes... it is 1234."
    scrubber = Scrubber.of(KEY, URL)
    assert scrubber.scrub(text) == scrubber.scrub_reply(text) == text


def test_a_placeholder_of_a_key_is_no_secret_in_a_reply() -> None:
    assert Scrubber.of("no", URL).scrub_reply("no") == "no"
    assert Scrubber.of("no", URL).scrub("bad key no") == f"bad key {HIDDEN}"


@pytest.mark.parametrize("unit", ["\\", "a", "a ", "ab/c", "*", "%25", "&amp;", "ab/cd+ef", "61", "=\n"])
def test_the_time_grows_with_the_text_and_not_faster(unit: str) -> None:
    scrubber = Scrubber.of(KEY * 5, URL)
    start = time.perf_counter()
    scrubber.scrub(unit * (2**17 // len(unit)))
    assert time.perf_counter() - start < 5
