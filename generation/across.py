"""Follow a model with another tokenizer: the follower reads the same characters, row by row.

The two tokenizers are aligned by characters (`alignment.py`), each row over a cache of its own. The follower's logits
are mapped to the writer's tokens, so that gates and interventions need not know:

    p(w) = sum of the follower's probabilities of all tokens whose bytes the writer would begin to spell with w

and the likeliest there is the writer's own likeliest token where both models' likeliest agree by characters, else the
writer's first token of what the follower would write. A takeover emits that token. Slower than with one tokenizer: a
pass of the follower for each row, and the text is encoded anew at each token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from ..models import LanguageModel
from ..models.causality import check_causal
from ..models.one_pass import one_pass
from .alignment import AlignedText, Spelling
from .cached_model import CachedModel
from .vocabulary import end_tokens, same_tokens, width

LEAST = 1e-30  # probability of what the writer cannot emit: its logarithm is finite


class TokenMap:
    """Both tokenizers, and the writer's first token for each token of the follower."""

    def __init__(
        self,
        writer: Spelling,
        follower: Spelling,
        first: Int[Tensor, " follower_vocabulary"],
        writer_ends: set[int],
        follower_ends: set[int],
    ) -> None:
        self.writer, self.follower, self.first = writer, follower, first  # -1: the writer cannot spell it
        self.writer_ends, self.follower_ends = writer_ends, follower_ends

    @classmethod
    def between(cls, writer: LanguageModel, follower: LanguageModel) -> TokenMap | None:
        """Map the tokens of two models; None where both have the same ones."""
        return None if same_tokens(writer, follower) else cls.of(writer, follower)

    @classmethod
    def of(cls, writer: LanguageModel, follower: LanguageModel) -> TokenMap:
        """Map the tokens of two models, also where they are the same."""
        writer_spelling, spelling = Spelling(writer.tokenizer), Spelling(follower.tokenizer)
        n_tokens = width(follower)
        known = set(follower.tokenizer.get_vocab().values())
        pieces = [spelling.bytes_of([token]) if token in known else b"" for token in range(n_tokens)]
        in_writers = [writer_spelling.tokens_for(piece) if piece else [] for piece in pieces]
        first = torch.tensor([tokens[0] if tokens else -1 for tokens in in_writers])
        ends = end_tokens(writer)
        if ends:
            first[[token for token in end_tokens(follower) if token < n_tokens]] = ends[0]
        return cls(writer_spelling, spelling, first, set(ends), set(end_tokens(follower)))


class MappedFollower:
    """A model that reads along row by row in its own tokens; a `Follower`. Past its context it agrees with the writer.

    Args:
        model: The model that reads along.
        prompts: In its own tokens, one for each row.
        writer: The model that writes, whose last logits are compared.
        token_map: From the follower's tokens to the writer's.
    """

    def __init__(
        self, model: LanguageModel, prompts: Sequence[Sequence[int]], writer: CachedModel, token_map: TokenMap
    ) -> None:
        check_causal(model)
        self._writer, self._map = writer, token_map
        self._spellable: tuple[Tensor, Tensor] | None = None  # tokens that the writer can spell; its first of each
        self._rows = [
            _Row(model, AlignedText(token_map.writer, token_map.follower, tuple(prompt))) for prompt in prompts
        ]

    @property
    def activations(self) -> Float[Tensor, "rows 0"]:
        """Of no width: its tokens end at other characters than the writer's."""
        return torch.empty(len(self._rows), 0)

    def step(self) -> Float[Tensor, "rows writer_vocabulary"]:
        """Run what is new of each row, after the writer's own step; return logits mapped to the writer's tokens."""
        logits = self._writer.logits
        assert logits is not None, "the writer has not run yet"
        return torch.stack([self._mapped(row, of_writer) for row, of_writer in zip(self._rows, logits, strict=True)])

    def extend(self, tokens: Int[Tensor, " rows"], remaining: Int[Tensor, " remaining"] | None) -> None:
        """Append the token written in each row, then keep some rows only (None: all)."""
        places = range(len(self._rows)) if remaining is None else remaining.tolist()
        emitted = tokens.tolist()
        rows = [(self._rows[place], emitted[place]) for place in places]
        for row, token in rows:
            row.append(token)
        self._rows = [row for row, _ in rows]

    def _mapped(self, row: _Row, of_writer: Float[Tensor, " writer_vocabulary"]) -> Float[Tensor, " writer_vocabulary"]:
        logits = row.logits()
        if logits is None:
            return of_writer
        writer_token, follower_token = int(of_writer.argmax()), int(logits.argmax())
        agreed = self._agreed(row, writer_token, follower_token)
        if agreed and row.text.waiting:
            return of_writer  # amid a character that both would write there is nothing to compare
        first = self._map.first
        if self._spellable is None:
            known = (first >= 0).nonzero()[:, 0]
            self._spellable = known.to(of_writer.device), first[known].to(of_writer.device)
        tokens, first_tokens = self._spellable
        probability = logits.to(of_writer.device).softmax(dim=-1)
        mapped = torch.zeros_like(of_writer).index_add(0, first_tokens, probability[tokens]).clamp_min(LEAST).log()
        target: int | None = writer_token
        if not agreed:
            ends_here = follower_token in self._map.follower_ends
            target = int(first[follower_token]) if ends_here else row.text.in_writers(follower_token)
            if target is None or target in (-1, writer_token):
                excluded = torch.tensor([writer_token], device=mapped.device)
                target = int(mapped.index_fill(0, excluded, -torch.inf).argmax())
        likeliest = int(mapped.argmax())
        if target != likeliest:
            mapped[[target, likeliest]] = mapped[[likeliest, target]]
        return mapped

    def _agreed(self, row: _Row, writer_token: int, follower_token: int) -> bool:
        writer_ends, follower_ends = writer_token in self._map.writer_ends, follower_token in self._map.follower_ends
        if writer_ends or follower_ends:
            return writer_ends and follower_ends
        return row.text.agrees(writer_token, follower_token)


class _Row:
    """One text in the follower's cache."""

    def __init__(self, model: LanguageModel, text: AlignedText) -> None:
        self.text = text
        self._model, self._n_common, self._new = model, 0, text.prompt
        self._cache = DynamicCache(config=model.model.config)
        self._logits: Tensor | None = None

    def append(self, token: int) -> None:
        update = self.text.append(token)
        if update.new:
            self._n_common, self._new = update.n_common, update.new

    def logits(self) -> Float[Tensor, " vocabulary"] | None:
        """Compute the logits of the token after the text's whole characters; None past the model's context."""
        limit = self._model.context_tokens
        if limit is not None and self._n_common + len(self._new) > limit:
            return None
        if not self._new:
            return self._logits
        if not self._crop():
            self._cache = DynamicCache(config=self._model.model.config)
            self._n_common, self._new = 0, (*self.text.prompt, *self.text.read)
        device = self._model.device
        n = self._n_common + len(self._new)
        inputs = {"attention_mask": torch.ones(1, n, dtype=torch.long, device=device), "use_cache": True}
        if self._model.takes_position_ids:
            inputs["position_ids"] = torch.arange(self._n_common, n, device=device)[None]
        ids = torch.tensor([self._new], device=device)
        with one_pass(self._model):
            output = self._model.model(ids, past_key_values=self._cache, **inputs)
        self._logits, self._new, self._n_common = output.logits[0, -1].float(), (), n
        return self._logits

    def _crop(self) -> bool:
        """Crop the cache to what is common, and tell whether it now holds just that."""
        held = self._cache.get_seq_length()
        if held > self._n_common:
            try:
                self._cache.crop(self._n_common - held)  # of a negative number: so many fewer
            except (ValueError, RuntimeError):  # a sliding window has forgotten what stood before
                return False
        return held >= self._n_common
