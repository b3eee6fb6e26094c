"""Align one text in two tokenizers by its characters.

The writer emits tokens of its own; the reader must read the same characters. After each token:

1. What is written so far, as bytes. A character may be split over tokens: bytes of one that is not whole yet wait.
2. The whole characters are encoded anew in the reader's tokenizer, whose last tokens may change as the text goes on.
3. Tokens in common with those that the reader has run stay in its cache; it is cropped to them, and the rest is run.

Two next tokens agree if the bytes of one begin with those of the other: they are the same text as far as both go.
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
    """Map the character that stands for each byte in byte-level BPE (GPT-2): a printable one itself, else from 256."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(rest)}


BYTE_OF = _byte_alphabet()
CHARACTER_OF = {byte: character for character, byte in BYTE_OF.items()}


class Spelling:
    """Between the tokens of one tokenizer and bytes."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        decoder = json.loads(backend.to_str())["decoder"] if backend is not None else None
        self.is_byte_level = '"ByteLevel"' in json.dumps(decoder)

    @cached_property
    def _added(self) -> dict[int, bytes]:
        return {number: str(token).encode() for number, token in self.tokenizer.added_tokens_decoder.items()}

    def bytes_of(self, tokens: Sequence[int]) -> bytes:
        """Spell tokens, a character that is not whole included where the tokenizer is of bytes."""
        if not self.is_byte_level:
            text = self.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)
            return str(text).encode()
        spelled = b""
        for number, piece in zip(tokens, self.tokenizer.convert_ids_to_tokens(list(tokens)), strict=True):
            if number in self._added:
                spelled += self._added[number]
            else:
                spelled += bytes(BYTE_OF[character] for character in piece or "")
        return spelled

    def bytes_after(self, tokens: Sequence[int], token: int) -> bytes:
        """Spell what `token` adds after `tokens`."""
        if self.is_byte_level:
            return self.bytes_of([token])
        before = self.bytes_of(tokens)
        after = self.bytes_of([*tokens, token])
        return after[len(before) :] if after.startswith(before) else self.bytes_of([token])

    def tokens_for(self, data: bytes) -> list[int]:
        """Encode bytes; no token for half a character in a tokenizer that has no bytes."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            if not self.is_byte_level:
                return []
            tokens = self.tokenizer.convert_tokens_to_ids([CHARACTER_OF[byte] for byte in data])
            return [tokens] if isinstance(tokens, int) else tokens
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def split_characters(data: bytes) -> tuple[str, bytes]:
    """Split bytes into the whole characters and the bytes of one that is not whole yet.

    Bytes that no character has become U+FFFD.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data)
    waiting, _ = decoder.getstate()
    return text, bytes(waiting)


def agree(one: bytes, other: bytes) -> bool:
    """Tell whether two spellings are the same as far as both go. Nothing agrees with nothing only."""
    if not one or not other:
        return one == other
    return one.startswith(other) or other.startswith(one)


@dataclass(frozen=True, slots=True)
class Update:
    """What the reader is to run: its cache cropped to `n_common` tokens, then `new` (none: nothing has changed)."""

    n_common: int
    new: tuple[int, ...]


@dataclass(slots=True)
class AlignedText:
    """One row: the response as its writer's tokens, and the same characters as tokens of its reader."""

    writer: Spelling
    reader: Spelling
    prompt: tuple[int, ...] = ()  # what the reader runs before the response
    written: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)  # of the response, without the prompt
    waiting: bytes = b""  # written, of a character that is not whole yet

    def append(self, token: int) -> Update:
        """Add one more token of the writer.

        Raises:
            InputError: The reader's tokenizer does not give the text back.
        """
        self.written.append(token)
        text, self.waiting = split_characters(self.writer.bytes_of(self.written))
        tokens = self._encoded(text)
        same = 0
        while same < min(len(tokens), len(self.read)) and tokens[same] == self.read[same]:
            same += 1
        if same == len(tokens) == len(self.read):
            return Update(len(self.prompt) + same, ())
        if same == len(tokens):  # the text got shorter: its last token is run again, to say what comes next
            same -= 1
        self.read = tokens
        n_common = max(len(self.prompt) + same, 0)
        return Update(n_common, (*self.prompt, *tokens)[n_common:])

    def agrees(self, of_writer: int, of_reader: int) -> bool:
        """Tell whether the writer's next token and the reader's are the same text as far as both go."""
        return agree(
            self.waiting + self.writer.bytes_after(self.written, of_writer),
            self.reader.bytes_after(self.read, of_reader),
        )

    def in_writers(self, of_reader: int) -> int | None:
        """Find the writer's first token for the reader's next one; None without one, or amid another character."""
        spelled = self.reader.bytes_after(self.read, of_reader)
        if not spelled.startswith(self.waiting):
            return None
        tokens = self.writer.tokens_for(spelled[len(self.waiting) :])
        return tokens[0] if tokens else None

    def _encoded(self, text: str) -> list[int]:
        tokens = self.reader.tokens_for(text.encode())
        back = self.reader.bytes_of(tokens).decode("utf-8", "replace")
        if unicodedata.normalize("NFC", back) != unicodedata.normalize("NFC", text):
            raise InputError(
                f"{self.reader.tokenizer.name_or_path or 'the other tokenizer'} does not give text back as it was: "
                f"{text[-20:]!r} became {back[-20:]!r}; models can be decoded together only where it does"
            )
        return tokens
