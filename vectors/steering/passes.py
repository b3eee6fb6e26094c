"""Follow a model from one forward pass to the next: what is padding, what is prompt, and each token's position.

1. A forward pass is described before it runs, from its own arguments: token ids, attention mask, position ids, cache.
2. Positions are counted from the mask. A static cache comes with a mask of four dimensions or none; then padding is
   read from its diagonal, and positions from the position ids.
3. On an empty cache all tokens of the call are the prompt, and their number is stored for that cache; later passes on
   the same cache are the response. Without a cache, a pass with the ids of the last one and one more in each row
   continues it, unless `generation` runs the two as different texts.
4. A cache that `generation` has filled may have fewer rows later, or several from one prompt; each is looked up by the
   row of the prompts' pass that it comes from.
5. A row has ended once the end-of-text token is fed to the model in the response; the padding that `generate` feeds
   afterwards belongs to no text.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from transformers.cache_utils import Cache

from ...generation import prompt_rows, text_of
from ...rundir import InputError
from .step import Step


@dataclass(eq=False)
class _CacheState:
    """The prompt length and the end of each row of one cache."""

    n_prompt: Int[Tensor, " rows"]
    has_ended: Bool[Tensor, " rows"]
    n_prompt_of_first_pass: Int[Tensor, " first_rows"]
    prompt_rows: Int[Tensor, " rows"] | None = None  # the row of the first pass of each row; None: its own

    @classmethod
    def of(cls, n_prompt: Int[Tensor, " rows"]) -> _CacheState:
        """Start with the prompt lengths of a first pass."""
        return cls(n_prompt, torch.zeros_like(n_prompt, dtype=torch.bool), n_prompt)

    def select(self, rows: Int[Tensor, " rows"]) -> _CacheState:
        """Select rows by the rows of the first pass; none of them has ended."""
        n_prompt = self.n_prompt_of_first_pass[rows.to(self.n_prompt_of_first_pass.device)]
        return _CacheState(
            n_prompt, torch.zeros_like(n_prompt, dtype=torch.bool), self.n_prompt_of_first_pass, prompt_rows=rows
        )


class Passes:
    """Makes a `Step` of each forward pass of one model."""

    def __init__(self, *, ends: list[int], pads: list[int], n_prompt_tokens: int | Int[Tensor, " rows"] | None) -> None:
        self._ends = torch.tensor(ends, dtype=torch.long)
        self._pads = torch.tensor(sorted({*pads, *ends}), dtype=torch.long)
        self._n_prompt_tokens = n_prompt_tokens
        self._states: WeakKeyDictionary[Cache, _CacheState] = WeakKeyDictionary()
        # Ids of the last pass without a cache, the text that `generation` runs them as, and what is known of them.
        self._last_uncached: tuple[Tensor, object | None, _CacheState] | None = None

    def begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step:
        """Describe the call of `module` that is about to run."""
        names = inspect.signature(module.forward).parameters
        arguments = dict(zip(names, args, strict=False)) | kwargs if args else kwargs
        ids, embeds = arguments.get("input_ids"), arguments.get("inputs_embeds")
        inputs = ids if ids is not None else embeds
        if inputs is None:
            raise InputError("a steered model was called without input_ids and without inputs_embeds; give one of them")
        n_rows, n_tokens = inputs.shape[:2]
        cache = arguments.get("past_key_values")
        cache = cache if isinstance(cache, Cache) else None
        first = 0 if cache is None else int(cache.get_seq_length())
        is_real, positions = _real_tokens(arguments, n_rows, n_tokens, first, inputs.device)
        n_prompt, n_new = self._prompt(ids, is_real, cache, first)
        step = Step(
            ids=ids,
            first_column=first,
            positions=positions,
            is_real=is_real,
            n_prompt=n_prompt,
            n_new=n_new,
            prompt_rows=None if cache is None else prompt_rows(cache),
        )
        if ids is not None and n_prompt is not None:
            step.is_real = is_real & ~self._after_end(step, cache)
        return step

    def end(self, step: Step, output: Any) -> None:
        """Store the prompt lengths for the cache that the step has filled; the model may have made it itself."""
        cache = getattr(output, "past_key_values", None)
        if (
            isinstance(cache, Cache)
            and cache not in self._states
            and step.first_column == 0
            and step.n_prompt is not None
        ):
            self._states[cache] = _CacheState.of(step.n_prompt)

    def _prompt(
        self, ids: Tensor | None, is_real: Bool[Tensor, "rows tokens"], cache: Cache | None, first: int
    ) -> tuple[Int[Tensor, " rows"] | None, int]:
        """Find how many tokens each row's prompt has, and how many of the columns are new."""
        n_rows, n_tokens = is_real.shape
        continues = first == 0 and cache is None and self._continues_last(ids)
        if first == 0 and not continues:
            is_stated = self._n_prompt_tokens is not None
            n_prompt = self._stated_prompt(n_rows, is_real.device, None) if is_stated else is_real.sum(dim=1)
            state = _CacheState.of(n_prompt)
            if cache is not None:
                self._states[cache] = state
            elif ids is not None:
                self._last_uncached = (ids, text_of(ids), state)
            return n_prompt, n_tokens
        if continues:
            assert self._last_uncached is not None and ids is not None  # by _continues_last
            _, text, state = self._last_uncached
            self._last_uncached = (ids, text, state)
            return state.n_prompt, 1
        if self._n_prompt_tokens is not None:
            return self._stated_prompt(n_rows, is_real.device, cache), n_tokens
        known = None if cache is None else self._state_of(cache)
        if known is None or n_tokens > 1:
            return None, n_tokens
        if len(known.n_prompt) != n_rows:  # rows were dropped or repeated: known only if all prompts are equally long
            same = bool((known.n_prompt == known.n_prompt[0]).all())
            if not same:
                return None, n_tokens
            assert cache is not None
            n_prompt = known.n_prompt[:1].repeat(n_rows)
            self._states[cache] = _CacheState.of(n_prompt)
            return n_prompt, n_tokens
        return known.n_prompt, n_tokens

    def _state_of(self, cache: Cache) -> _CacheState | None:
        """Look up a cache, its rows as they are now."""
        state, rows = self._states.get(cache), prompt_rows(cache)
        if state is not None and rows is not None and rows is not state.prompt_rows:
            state = self._states[cache] = state.select(rows)
        return state

    def _continues_last(self, ids: Tensor | None) -> bool:
        """Check whether these are the ids of the last pass without a cache, and one more in each row."""
        if ids is None or self._last_uncached is None:
            return False
        last, text, _ = self._last_uncached
        is_one_longer = ids.shape == (last.shape[0], last.shape[1] + 1)
        return is_one_longer and text is text_of(ids) and torch.equal(ids[:, :-1], last)

    def _stated_prompt(self, n_rows: int, device: torch.device, cache: Cache | None) -> Int[Tensor, " rows"]:
        n_prompt = torch.as_tensor(self._n_prompt_tokens, device=device)
        rows = None if cache is None else prompt_rows(cache)
        if n_prompt.ndim == 1 and rows is not None:
            n_prompt = n_prompt[rows.to(device)]
        if n_prompt.ndim > 1 or (n_prompt.ndim == 1 and len(n_prompt) != n_rows):
            raise InputError(
                f"n_prompt_tokens has shape {tuple(n_prompt.shape)} and the model is given {n_rows} rows; give one "
                "number, or one for each row"
            )
        return n_prompt.expand(n_rows)

    def _after_end(self, step: Step, cache: Cache | None) -> Bool[Tensor, "rows tokens"]:
        """Mark the tokens after a response's end, and the end itself, whose output is not used."""
        assert step.ids is not None and step.n_prompt is not None
        known = self._states.get(cache) if cache is not None else None
        if known is not None and step.n_tokens == 1 and step.first_column > 0:
            token = step.ids[:, 0]
            self._move_to(token.device)
            is_end = torch.isin(token, self._ends)
            known.has_ended = is_end | (known.has_ended & torch.isin(token, self._pads))
            return known.has_ended[:, None]
        if step.n_new == 1 and step.n_tokens > 1:  # without a cache every pass runs the whole text
            self._move_to(step.ids.device)
            tail = torch.isin(step.ids, self._pads) & (step.positions >= step.n_prompt[:, None])
            return tail.flip(1).cumprod(dim=1).flip(1).bool()
        return torch.zeros_like(step.is_real)

    def _move_to(self, device: torch.device) -> None:
        """Move the special tokens once, not at every step: it makes the host wait for an accelerator."""
        self._ends, self._pads = self._ends.to(device), self._pads.to(device)


def _real_tokens(
    arguments: dict[str, Any], n_rows: int, n_tokens: int, first: int, device: torch.device
) -> tuple[Bool[Tensor, "rows tokens"], Int[Tensor, "rows tokens"]]:
    """Find which tokens are real, and the position of each among the real tokens of its row."""
    mask = arguments.get("attention_mask")
    if isinstance(mask, dict):  # one for each kind of attention layer
        mask = next((layer_mask for layer_mask in mask.values() if layer_mask is not None), None)
    if isinstance(mask, Tensor) and mask.ndim == 2:
        real = mask.bool()
        if n_tokens == 1:  # a cached step
            before = 0 if mask.shape[1] > 1 else first
            return real[:, -1:], (real.sum(dim=1, keepdim=True) - 1 + before).clamp_min(0)
        positions = real.long().cumsum(dim=1) - 1
        if mask.shape[1] == n_tokens:  # a mask of the new tokens only
            positions = positions + first
        return real[:, -n_tokens:], positions[:, -n_tokens:].clamp_min(0)
    is_real = torch.ones(n_rows, n_tokens, dtype=torch.bool, device=device)
    if isinstance(mask, Tensor) and mask.ndim == 4:
        columns = torch.arange(first, first + n_tokens, device=mask.device)
        own = mask[:, 0, torch.arange(n_tokens, device=mask.device), columns]  # does a token attend to itself?
        is_real = (own if own.dtype == torch.bool else own == 0).expand(n_rows, -1)
    position_ids = arguments.get("position_ids")
    if isinstance(position_ids, Tensor) and position_ids.ndim == 2:
        return is_real, position_ids.expand(n_rows, -1)
    return is_real, torch.arange(first, first + n_tokens, device=device).expand(n_rows, -1)
