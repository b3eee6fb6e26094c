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
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from ..models import LanguageModel
from ..models.causality import check_causal
from ..models.device_copies import uploaded
from ..models.one_pass import one_pass
from .alignment import AlignedText, Spelling
from .cached_model import CachedModel, OnHost
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
        of_writer = self._writer.logits
        assert of_writer is not None, "the writer has not run yet"
        of_rows = [row.logits() for row in self._rows]
        mapped = [None if one is None else self._mapped(one, own) for one, own in zip(of_rows, of_writer, strict=True)]
        likeliest = self._likeliest(of_writer, of_rows, mapped)
        return torch.stack(
            [
                own if one is None else self._with_target(row, own, one, *tokens)
                for row, own, one, tokens in zip(self._rows, of_writer, mapped, likeliest, strict=True)
            ]
        )

    def extend(
        self,
        tokens: Int[Tensor, " rows"],
        remaining: Int[Tensor, " remaining"] | None,
        on_host: OnHost | None = None,
    ) -> None:
        """Append the token written in each row, then keep some rows only (None: all)."""
        on_host = on_host or (tokens.tolist(), None if remaining is None else remaining.tolist())
        emitted, going = on_host
        rows = [(self._rows[place], emitted[place]) for place in (range(len(self._rows)) if going is None else going)]
        for row, token in rows:
            row.append(token)
        self._rows = [row for row, _ in rows]

    def _mapped(
        self, logits: Float[Tensor, " vocabulary"], of_writer: Float[Tensor, " writer_vocabulary"]
    ) -> Float[Tensor, " writer_vocabulary"]:
        """Sum the follower's probabilities over tokens that the writer begins to spell with the same one of its own."""
        if self._spellable is None:
            first = self._map.first
            known = (first >= 0).nonzero()[:, 0]
            self._spellable = uploaded(known, of_writer.device), uploaded(first[known], of_writer.device)
        tokens, first_tokens = self._spellable
        probability = logits.to(of_writer.device).softmax(dim=-1)
        return torch.zeros_like(of_writer).index_add(0, first_tokens, probability[tokens]).clamp_min(LEAST).log()

    def _likeliest(
        self, of_writer: Tensor, of_rows: Sequence[Tensor | None], mapped: Sequence[Tensor | None]
    ) -> list[list[int]]:
        """Look up the likeliest tokens of each row: the host waits for the device once.

        Returns:
            The writer's, the follower's, the likeliest of the mapped ones, and the likeliest but for the writer's; of
            a row past the follower's context all are 0.
        """
        none = of_writer.new_zeros((), dtype=torch.long)
        columns = []
        for own, logits, one in zip(of_writer, of_rows, mapped, strict=True):
            if logits is None or one is None:
                columns.append(torch.stack([none] * 4))
                continue
            own_token, own_follower = own.argmax(), logits.argmax().to(own.device)
            other = one.index_fill(0, own_token[None], -torch.inf).argmax()
            columns.append(torch.stack([own_token, own_follower, one.argmax(), other]))
        likeliest: list[list[int]] = torch.stack(columns).tolist()
        return likeliest

    def _with_target(
        self,
        row: _Row,
        of_writer: Float[Tensor, " writer_vocabulary"],
        mapped: Float[Tensor, " writer_vocabulary"],
        writer_token: int,
        follower_token: int,
        likeliest: int,
        other: int,
    ) -> Float[Tensor, " writer_vocabulary"]:
        """Make the likeliest the writer's own where both agree, else its first token of what the follower says."""
        agreed = self._agreed(row, writer_token, follower_token)
        if agreed and row.text.waiting:
            return of_writer  # amid a character that both would write there is nothing to compare
        target = writer_token
        if not agreed:
            ends_here = follower_token in self._map.follower_ends
            of_follower = int(self._map.first[follower_token]) if ends_here else row.text.in_writers(follower_token)
            target = other if of_follower is None or of_follower in (-1, writer_token) else of_follower
        if target != likeliest:
            place, from_place = (uploaded(pair, mapped.device) for pair in ([target, likeliest], [likeliest, target]))
            mapped[place] = mapped[from_place]
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
        inputs: dict[str, Any] = {"use_cache": True}
        if self._model.takes_position_ids:  # one row has no padding; of a mask the device would be asked whether it has
            inputs["position_ids"] = torch.arange(self._n_common, n, device=device)[None]
        else:
            inputs["attention_mask"] = torch.ones(1, n, dtype=torch.long, device=device)
        ids = uploaded([list(self._new)], device)
        with one_pass(self._model):
            output = self._model.model(ids, **{self._model.cache_name: self._cache}, **inputs)
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
