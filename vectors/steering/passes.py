"""Follow a model from one forward pass to the next: which tokens are the prompt, which the response.

1. A forward pass is described before it runs, from its own arguments. `layout.py` finds padding and positions.
2. On an empty cache all tokens of the call are the prompt, and the number of columns is stored for that cache; later
   passes of one token on the same cache are the response. How many of a row's tokens are prompt is counted in the mask
   of each pass, so that rows may be reordered, dropped and repeated (beam search). A prompt that runs in parts, or
   together with guesses of an assistant, has no known end.
3. Without a cache, a pass whose rows are those of an earlier one, in any order, and one token more, continues it,
   unless `generation` runs the two as different texts.
4. What is given for each row (a mask, numbers of prompt tokens) needs to know which row is which. A cache that
   `generation` has filled says so; of another one the last keys are compared with those that the pass before left.
5. A row has ended once the end-of-text token is fed to the model in the response; the padding that `generate` feeds
   afterwards belongs to no text.
"""

from __future__ import annotations

import inspect
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from transformers.cache_utils import Cache

from ...generation import prompt_rows, text_of
from ...models.cache_argument import filled_cache
from ...models.device_copies import uploaded
from ...rundir import InputError
from .layout import Layout, cache_of, columns_in, layout_of, of_held_columns
from .memory import CacheState, Uncached, has_guesses, is_part_of_prompt, last_keys_of
from .step import Step

MOST_TEXTS = 4  # texts without a cache that take turns


class Passes:
    """Makes a `Step` of each forward pass of one model."""

    def __init__(
        self,
        *,
        ends: list[int],
        pads: list[int],
        n_prompt_tokens: int | Int[Tensor, " rows"] | None,
        follows_rows: bool = False,
        window: int | None = None,
    ) -> None:
        self._ends = torch.tensor(ends, dtype=torch.long)
        self._pads = torch.tensor(sorted({*pads, *ends}), dtype=torch.long)
        self._n_prompt_tokens, self._window = n_prompt_tokens, window
        # Whether a later pass may be asked if its rows are still those of the one before.
        self._keeps_keys = follows_rows or isinstance(n_prompt_tokens, Tensor) or window is not None
        self._states: WeakKeyDictionary[Cache, CacheState] = WeakKeyDictionary()
        self._uncached: list[Uncached] = []  # the latest last

    def begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step:
        """Describe the call of `module` that is about to run."""
        names = inspect.signature(module.forward).parameters
        arguments = dict(zip(names, args, strict=False)) | kwargs if args else kwargs
        ids, embeds = arguments.get("input_ids"), arguments.get("inputs_embeds")
        inputs = ids if ids is not None else embeds
        if inputs is None:
            raise InputError("a steered model was called without input_ids and without inputs_embeds; give one of them")
        n_rows, n_tokens = inputs.shape[:2]
        cache, unknown_cache = cache_of(arguments)
        known = None if cache is None else self._state_of(cache)
        n_columns = 0 if cache is None else columns_in(cache)
        if n_columns is None:
            n_columns = 0 if known is None else known.n_run
            unknown_cache = type(cache).__name__ if known is None else None
        first = n_columns
        mask = of_held_columns(cache, arguments.get("attention_mask"), first + n_tokens)
        layout = layout_of(
            {**arguments, "attention_mask": mask},
            n_rows,
            n_tokens,
            first,
            inputs.device,
            window=self._window,
            is_padded=lambda: first > 0 and known is not None and known.is_padded,
        )
        problem = layout.find_problem
        if unknown_cache is not None:

            def problem() -> str | None:
                return f"the tokens in a cache of type {unknown_cache} cannot be counted"

        earlier = self._continued(inputs) if cache is None and unknown_cache is None else None
        step = Step(
            ids=ids,
            first_column=first,
            is_real=layout.is_real,
            known_positions=layout.positions,
            n_prompt=None,
            n_new=n_tokens if earlier is None else 1,
            find_problem=problem,
        )
        if unknown_cache is not None:
            return step
        state = known
        if earlier is not None:
            state = earlier.state
        elif first == 0:
            state = self._start(inputs, layout, cache, arguments)
            if state is None:
                return step
        elif known is not None:
            step.rows_changed = lambda: self._rows_changed(cache, known, first, n_rows)
        step.prompt_rows = state.rows if state is not None else None
        if state is not None and cache is not None:
            step.marked = state.marked
        step.n_prompt = self._prompt(step, layout, state)
        if ids is not None and step.n_prompt is not None:
            step.is_real = layout.is_real & ~self._after_end(step, cache)
        return step

    def end(self, step: Step, output: Any) -> None:
        """Store what is known of the cache that the step has filled; the model may have made it itself."""
        cache = filled_cache(output)
        cache = cache if isinstance(cache, Cache) else getattr(output, "cache_params", None)
        if not isinstance(cache, Cache):
            return
        if cache not in self._states and step.first_column == 0 and step.n_prompt is not None:
            n_real = step.is_real.all()
            self._states[cache] = CacheState.of(step.n_tokens, step.n_prompt, n_real)
            self._states[cache].marked = step.marked
        state = self._states.get(cache)
        if state is not None:
            state.n_run = step.first_column + step.n_tokens
        if self._keeps_keys and state is not None and step.n_rows > 1:
            keys = last_keys_of(cache, step.first_column + step.n_tokens)
            state.last_keys = None if keys is None else keys.clone()

    def _start(
        self, inputs: Tensor, layout: Layout, cache: Cache | None, arguments: dict[str, Any]
    ) -> CacheState | None:
        """Take all tokens of a first pass as the prompt; None where more than the prompt runs, or less."""
        n_rows, n_tokens = layout.is_real.shape
        if self._n_prompt_tokens is not None:
            n_prompt = self._stated_prompt(n_rows, layout.is_real.device, None)
        elif has_guesses(arguments) or (cache is not None and is_part_of_prompt()):
            if cache is not None:
                self._states.pop(cache, None)
            return None
        else:
            n_prompt = layout.is_real.sum(dim=1)
        state = CacheState.of(n_tokens, n_prompt, layout.is_real.all())
        if cache is not None:
            self._states[cache] = state
        else:
            text = text_of(inputs) if not inputs.is_floating_point() else None
            self._uncached = [*self._uncached[1 - MOST_TEXTS :], Uncached(inputs, text, state)]
        return state

    def _prompt(self, step: Step, layout: Layout, state: CacheState | None) -> Int[Tensor, " rows"] | None:
        """Find how many tokens of each row are the prompt; None where it is not known."""
        n_rows = step.n_rows
        if self._n_prompt_tokens is not None:
            if isinstance(self._n_prompt_tokens, Tensor) and self._n_prompt_tokens.ndim:
                step.needs_rows = True
            return self._stated_prompt(n_rows, step.is_real.device, step.prompt_rows)
        if state is None or step.is_first_pass:
            return None if state is None else state.n_prompt
        if step.first_column > 0 and (step.n_tokens > 1 or step.first_column < state.n_columns - 1):
            return None  # by parts, or on a cache that was cut back into the prompt
        if layout.columns is not None:
            return layout.columns[:, : state.n_columns].sum(dim=1)
        if layout.is_unmasked:  # and so without padding, or there is a problem
            return torch.full((n_rows,), state.n_columns, device=step.is_real.device)
        if len(state.n_prompt) == n_rows and state.rows is not None:
            return state.n_prompt
        step.needs_rows = step.needs_rows or len(state.n_prompt) > 1
        if len(state.n_prompt) != n_rows:
            same = bool((state.n_prompt == state.n_prompt[0]).all())
            return state.n_prompt[:1].expand(n_rows) if same else None
        return state.n_prompt

    def _state_of(self, cache: Cache) -> CacheState | None:
        """Look up a cache, its rows as they are now."""
        state, rows = self._states.get(cache), prompt_rows(cache)
        if state is not None and rows is not None and rows is not state.rows:
            has_ended = torch.zeros(len(rows), dtype=torch.bool, device=state.has_ended.device)
            state.rows, state.has_ended = rows, has_ended  # rows that have ended leave
        return state

    def _continued(self, inputs: Tensor) -> Uncached | None:
        """Find the pass without a cache whose rows these are, in any order, with one token more in each."""
        text = text_of(inputs) if not inputs.is_floating_point() else None
        for earlier in reversed(self._uncached):
            last = earlier.inputs
            if (
                text is not earlier.text
                or inputs.ndim != last.ndim
                or inputs.shape[1] != last.shape[1] + 1
                or inputs.shape[2:] != last.shape[2:]
                or inputs.device != last.device
            ):
                continue
            before = inputs[:, :-1]
            if not torch.equal(before, last):
                is_same = (before[:, None] == last[None]).flatten(2).all(dim=2)  # (rows, last rows)
                if not bool(is_same.any(dim=1).all()):
                    continue
                rows = is_same.long().argmax(dim=1)
                state = earlier.state
                state.rows = rows if state.rows is None else state.rows[rows]
            self._uncached.remove(earlier)
            earlier.inputs = inputs
            self._uncached.append(earlier)
            return earlier
        return None

    def _rows_changed(self, cache: Cache | None, state: CacheState, n_columns: int, n_rows: int) -> bool:
        """Tell whether the rows of a cache may be others than those that the last pass left."""
        if n_rows == 1 and len(state.n_prompt) == 1:
            return False
        if state.rows is not None:
            return False  # `generation` says which row is which
        keys = None if cache is None else last_keys_of(cache, n_columns)
        last = state.last_keys
        return keys is None or last is None or keys.shape != last.shape or not torch.equal(keys.to(last.device), last)

    def _stated_prompt(
        self, n_rows: int, device: torch.device, rows: Int[Tensor, " rows"] | None
    ) -> Int[Tensor, " rows"]:
        n_prompt = torch.as_tensor(self._n_prompt_tokens, device=device)
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
            if len(known.has_ended) != len(token):
                known.has_ended = torch.zeros_like(is_end)
            known.has_ended = is_end | (known.has_ended & torch.isin(token, self._pads))
            return known.has_ended[:, None]
        if step.n_new == 1 and step.n_tokens > 1:  # without a cache every pass runs the whole text
            self._move_to(step.ids.device)
            tail = torch.isin(step.ids, self._pads) & (step.known_positions >= step.n_prompt[:, None])
            return tail.flip(1).cumprod(dim=1).flip(1).bool()
        return torch.zeros_like(step.is_real)

    def _move_to(self, device: torch.device) -> None:
        """Move the special tokens once, not at every step: it makes the host wait for an accelerator."""
        if self._ends.device != device:
            self._ends, self._pads = uploaded(self._ends, device), uploaded(self._pads, device)
