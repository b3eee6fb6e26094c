"""One text in two tokenisers, aligned by characters.

The base writes tokens of its own; the thinking model must read the same characters. After each token:

1. What is written so far, as bytes. A character may be split over tokens: bytes of one that is not whole yet wait.
2. The whole characters are encoded anew in the other tokeniser, whose last tokens may change as the text goes on.
3. Tokens in common with those that the other model has read stay in its cache; it is cropped to them and reads on.

Two next tokens agree if the bytes of one begin with those of the other: they say the same as far as both go.
"""

from __future__ import annotations

import codecs
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from transformers import PreTrainedTokenizerBase

from ..rundir import InputError


def _byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in byte-level BPE (GPT-2): itself where it is seen, else from 256 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + place): byte for place, byte in enumerate(rest)}


BYTE_OF = _byte_alphabet()
CHARACTER_OF = {byte: character for character, byte in BYTE_OF.items()}


class Spelling:
    """Between the tokens of one tokeniser and bytes."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        decoder = json.loads(backend.to_str())["decoder"] if backend is not None else None
        self.is_byte_level = '"ByteLevel"' in json.dumps(decoder)

    @cached_property
    def _added(self) -> dict[int, bytes]:
        return {number: str(token).encode() for number, token in self.tokenizer.added_tokens_decoder.items()}

    def said(self, tokens: Sequence[int]) -> bytes:
        """What the tokens spell, a character that is not whole included where the tokeniser is of bytes."""
        if not self.is_byte_level:
            text = self.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)
            return str(text).encode()
        found = b""
        for number, piece in zip(tokens, self.tokenizer.convert_ids_to_tokens(list(tokens)), strict=True):
            found += self._added[number] if number in self._added else bytes(BYTE_OF[each] for each in piece or "")
        return found

    def next(self, tokens: Sequence[int], token: int) -> bytes:
        """What `token` adds after `tokens`."""
        if self.is_byte_level:
            return self.said([token])
        before = self.said(tokens)
        after = self.said([*tokens, token])
        return after[len(before) :] if after.startswith(before) else self.said([token])

    def spelled(self, data: bytes) -> list[int]:
        """Tokens for these bytes; none for half a character in a tokeniser that has no bytes."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            if not self.is_byte_level:
                return []
            found = self.tokenizer.convert_tokens_to_ids([CHARACTER_OF[byte] for byte in data])
            return [found] if isinstance(found, int) else found
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def whole(data: bytes) -> tuple[str, bytes]:
    """The whole characters, and the bytes of one that is not yet whole. Bytes that no character has become U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data)
    waiting, _ = decoder.getstate()
    return text, bytes(waiting)


def agree(one: bytes, other: bytes) -> bool:
    """Whether what is said is the same as far as both go. Nothing agrees with nothing only."""
    if not one or not other:
        return one == other
    return one.startswith(other) or other.startswith(one)


@dataclass(frozen=True, slots=True)
class Feed:
    """What the other model is to read: its cache cropped to `kept` tokens, then `new` (none: nothing has changed)."""

    kept: int
    new: tuple[int, ...]


@dataclass(slots=True)
class AlignedText:
    """One row: the response as its writer's tokens, and the same characters as tokens of its reader."""

    writer: Spelling
    reader: Spelling
    prompt: tuple[int, ...] = ()  # what the reader has read before the response
    written: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)  # of the response, without the prompt
    waiting: bytes = b""  # written, of a character that is not whole yet

    def wrote(self, token: int) -> Feed:
        """After one more token of the writer. Raises InputError where the reader cannot spell the text."""
        self.written.append(token)
        text, self.waiting = whole(self.writer.said(self.written))
        tokens = self._encoded(text)
        same = 0
        while same < min(len(tokens), len(self.read)) and tokens[same] == self.read[same]:
            same += 1
        if same == len(tokens) == len(self.read):
            return Feed(len(self.prompt) + same, ())
        if same == len(tokens):  # the text got shorter: its last token is read again, to say what comes next
            same -= 1
        self.read = tokens
        kept = max(len(self.prompt) + same, 0)
        return Feed(kept, (*self.prompt, *tokens)[kept:])

    def agrees(self, own: int, other: int) -> bool:
        """Whether the writer's next token and the reader's say the same as far as both go."""
        return agree(
            self.waiting + self.writer.next(self.written, own),
            self.reader.next(self.read, other),
        )

    def in_writers(self, other: int) -> int | None:
        """The writer's first token for what the reader would say; None without one, or amid another character."""
        said = self.reader.next(self.read, other)
        if not said.startswith(self.waiting):
            return None
        tokens = self.writer.spelled(said[len(self.waiting) :])
        return tokens[0] if tokens else None

    def _encoded(self, text: str) -> list[int]:
        tokens = self.reader.spelled(text.encode())
        back = self.reader.said(tokens).decode("utf-8", "replace")
        if unicodedata.normalize("NFC", back) != unicodedata.normalize("NFC", text):
            raise InputError(
                f"{self.reader.tokenizer.name_or_path or 'the other tokenizer'} does not give text back as it was: "
                f"{text[-20:]!r} became {back[-20:]!r}; models can be decoded together only where it does"
            )
        return tokens
