"""A thinking model with another tokeniser than the base: it follows the base's text row by row, by characters.

What the base writes is read by the thinking model as the same characters (`alignment.py`), each row over a cache of its
own. What the thinking model would say is told in the base's tokens, so that gates and choosers need not know:

    p(b) = sum of the thinking model's probabilities of all tokens whose bytes the base would begin to spell with b

and the likeliest there is the base's own likeliest token where the two models' likeliest agree by characters, else the
base's first token of what the thinking model would say. A takeover emits that token. Slower than with one tokeniser: a
pass of the thinking model for each row, and the text is encoded anew at each token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from ..models import LanguageModel
from .alignment import AlignedText, Spelling
from .cached_model import CachedModel
from .vocabulary import end_tokens, same_tokens, width

LEAST = 1e-30  # probability of what cannot be said: its logarithm is finite


class Words:
    """Both vocabularies, and the base's first token for each token of the thinking model."""

    def __init__(self, base: Spelling, thinking: Spelling, first: Int[Tensor, " n_thinking"], stops: set[int]) -> None:
        self.base, self.thinking, self.first = base, thinking, first  # -1: the base cannot spell it
        self.base_stops, self.thinking_stops = stops, set[int]()

    @classmethod
    def between(cls, base: LanguageModel, thinking: LanguageModel) -> Words | None:
        """None where both have the same tokens."""
        return None if same_tokens(base, thinking) else cls.of(base, thinking)

    @classmethod
    def of(cls, base: LanguageModel, thinking: LanguageModel) -> Words:
        one, other = Spelling(base.tokenizer), Spelling(thinking.tokenizer)
        n = width(thinking)
        known = set(thinking.tokenizer.get_vocab().values())
        said = [other.said([token]) if token in known else b"" for token in range(n)]
        spelled = [one.spelled(each) if each else [] for each in said]
        stops = end_tokens(base)
        first = torch.tensor([tokens[0] if tokens else -1 for tokens in spelled])
        if stops:
            first[[token for token in end_tokens(thinking) if token < n]] = stops[0]
        found = cls(one, other, first, set(stops))
        found.thinking_stops = set(end_tokens(thinking))
        return found


class MappedFollower:
    """The thinking model, reading the base's text row by row; as a `Follower`."""

    def __init__(
        self, model: LanguageModel, prompts: Sequence[Sequence[int]], heard: CachedModel, words: Words
    ) -> None:
        self.model, self._heard, self._words = model, heard, words
        self._spelled: tuple[Tensor, Tensor] | None = None  # tokens that the base can spell; its first of each
        self._rows = [_Row(model, AlignedText(words.base, words.thinking, tuple(prompt))) for prompt in prompts]

    def step(self) -> Float[Tensor, "rows base_vocabulary"]:
        """What the thinking model would say next, in the base's tokens; after the base's own step."""
        heard = self._heard.logits
        assert heard is not None
        return torch.stack([self._told(row, logits) for row, logits in zip(self._rows, heard, strict=True)])

    def room(self) -> int:
        """No limit: past the model's context the base goes on alone."""
        return 2**31

    def extend(self, tokens: Int[Tensor, " rows"], kept: Int[Tensor, " kept"] | None) -> None:
        places = range(len(self._rows)) if kept is None else kept.tolist()
        said = tokens.tolist()
        rows = [(self._rows[place], said[place]) for place in places]
        for row, token in rows:
            row.wrote(token)
        self._rows = [row for row, _ in rows]

    def _told(self, row: _Row, base: Float[Tensor, " base_vocabulary"]) -> Float[Tensor, " base_vocabulary"]:
        logits = row.logits()
        if logits is None:
            return base
        own, other = int(base.argmax()), int(logits.argmax())
        agreed = self._agreed(row, own, other)
        if agreed and row.follower.waiting:
            return base  # amid a character that both would say there is nothing to compare
        first = self._words.first
        if self._spelled is None:
            known = (first >= 0).nonzero()[:, 0]
            self._spelled = known.to(base.device), first[known].to(base.device)
        tokens, begins = self._spelled
        probability = logits.to(base.device).softmax(dim=-1)
        told = torch.zeros_like(base).index_add(0, begins, probability[tokens]).clamp_min(LEAST).log()
        wanted: int | None = own
        if not agreed:
            ends_here = other in self._words.thinking_stops
            wanted = int(first[other]) if ends_here else row.follower.in_writers(other)
            if wanted is None or wanted in (-1, own):
                wanted = int(told.index_fill(0, torch.tensor([own], device=told.device), -torch.inf).argmax())
        likeliest = int(told.argmax())
        if wanted != likeliest:
            told[[wanted, likeliest]] = told[[likeliest, wanted]]
        return told

    def _agreed(self, row: _Row, own: int, other: int) -> bool:
        own_ends, other_ends = own in self._words.base_stops, other in self._words.thinking_stops
        if own_ends or other_ends:
            return own_ends and other_ends
        return row.follower.agrees(own, other)


class _Row:
    """One text in the thinking model's cache."""

    def __init__(self, model: LanguageModel, follower: AlignedText) -> None:
        self.follower = follower
        self._model, self._kept, self._new = model, 0, follower.prompt
        self._cache = DynamicCache(config=model.model.config)
        self._logits: Tensor | None = None

    def wrote(self, token: int) -> None:
        feed = self.follower.wrote(token)
        if feed.new:
            self._kept, self._new = feed.kept, feed.new

    def logits(self) -> Float[Tensor, " vocabulary"] | None:
        """Of the token after the text's whole characters; None past the model's context."""
        limit = self._model.context_tokens
        if limit is not None and self._kept + len(self._new) > limit:
            return None
        if not self._new:
            return self._logits
        if not self._cropped():
            self._cache = DynamicCache(config=self._model.model.config)
            self._kept, self._new = 0, (*self.follower.prompt, *self.follower.read)
        device = self._model.device
        n = self._kept + len(self._new)
        given = {"attention_mask": torch.ones(1, n, dtype=torch.long, device=device), "use_cache": True}
        if self._model.takes_position_ids:
            given["position_ids"] = torch.arange(self._kept, n, device=device)[None]
        ids = torch.tensor([self._new], device=device)
        output = self._model.model(ids, past_key_values=self._cache, **given)
        self._logits, self._new, self._kept = output.logits[0, -1].float(), (), n
        return self._logits

    def _cropped(self) -> bool:
        """Whether the cache now holds just what is kept."""
        held = self._cache.get_seq_length()
        if held > self._kept:
            try:
                self._cache.crop(self._kept - held)  # of a negative number: so many fewer
            except (ValueError, RuntimeError):  # a sliding window has forgotten what stood before
                return False
        return held >= self._kept
