"""Write token by token: the one step loop that every text of a model here comes from.

    for each token of the response:
        logits      of the model that writes and, where one reads along, of its follower
        state       what gates and interventions look at (`state.py`)
        token       chosen greedily or by the row's own random number (`sampling.py`); interventions replace it in order
        next        rows that have ended leave; both caches go on from what was emitted, unsteered

Which rows go on is for the host to say, so it waits for the tokens, once a token. All else waits for nothing.

Prompts are run in batches of about one length, longest last. What a row writes depends neither on the batch nor on
which other rows there are, up to the rounding of the model's own arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from ..models import LanguageModel
from ..models.device_copies import uploaded
from .cached_model import CachedModel, Follower
from .sampling import Sampling, choose_tokens, row_uniforms
from .state import Change, Intervention, Observer, StepState
from .vocabulary import Vocabulary, end_tokens

# Makes the follower of one batch: from the model that writes and the places of the batch's prompts among all.
FollowerOf = Callable[[CachedModel, Sequence[int]], Follower]


@torch.inference_mode()
def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    seed: int = 0,
    n_rows: int = 128,
    numbers: Sequence[int] | None = None,
    limits: Sequence[int] | None = None,
    vocabulary: Vocabulary | None = None,
    follower_of: FollowerOf | None = None,
    layer: int | None = None,
    interventions: Sequence[Intervention] = (),
    observe: Observer | None = None,
) -> list[list[int]]:
    """Write a response to each prompt.

    Args:
        model: The model that writes.
        prompts: Token ids of each prompt; equal ones are run once.
        sampling: Greedy, or temperature and nucleus, and how many tokens at most. One response is drawn to a prompt,
            whatever `n_samples` says: repeat the prompt for more.
        seed: Of the random numbers.
        n_rows: Prompts that are run together; results do not depend on it.
        numbers: Of the prompts, where they are some of many; random numbers go by them. Default: 0, 1, 2, ...
        limits: Tokens at most for each prompt, where something other than `sampling` and the model's context limits
            them.
        vocabulary: The tokens that can be emitted, and those that end a response. Default: all, and the model's ends.
        follower_of: Makes the model that reads along; None: none does.
        layer: The block whose output the state shows and interventions may replace; None: none.
        interventions: Asked in order at every token; a later one has the last word.
        observe: Called after every token; may end rows.

    Returns:
        For each prompt the token ids of its response, in the order of the prompts; the token that ended it comes last,
        and there is none where the response was cut off at a limit or ended by `observe`.
    """
    run = _Run(
        model=model,
        sampling=sampling,
        seed=seed,
        vocabulary=vocabulary or Vocabulary(n_tokens=None, ends=tuple(end_tokens(model))),
        follower_of=follower_of,
        layer=layer,
        interventions=tuple(interventions),
        observe=observe,
    )
    context = model.context_tokens or 2**31
    room = [
        min(sampling.max_new_tokens, context - len(prompt), *(() if limits is None else (limits[place],)))
        for place, prompt in enumerate(prompts)
    ]
    responses: list[list[int]] = [[] for _ in prompts]
    for places in _batches(prompts, room, n_rows, of_one_length=not model.takes_cache):
        of_rows = places if numbers is None else [numbers[place] for place in places]
        written = run.batch([prompts[place] for place in places], places, of_rows, [room[place] for place in places])
        for place, response in zip(places, written, strict=True):
            responses[place] = response
    return responses


def _batches(
    prompts: Sequence[Sequence[int]], room: Sequence[int], n_rows: int, *, of_one_length: bool
) -> Iterator[list[int]]:
    """Group prompts of about one length, or of just one; equal ones side by side, those without room left out.

    Yields:
        The places of the prompts of a batch.
    """
    order = sorted(
        (place for place in range(len(prompts)) if room[place] > 0),
        key=lambda place: (len(prompts[place]), tuple(prompts[place])),
    )
    start = 0
    while start < len(order):
        batch = order[start : start + n_rows]
        if of_one_length:
            batch = [place for place in batch if len(prompts[place]) == len(prompts[batch[0]])]
        yield batch
        start += len(batch)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Run:
    """How all batches are written."""

    model: LanguageModel
    sampling: Sampling
    seed: int
    vocabulary: Vocabulary
    follower_of: FollowerOf | None
    layer: int | None
    interventions: tuple[Intervention, ...]
    observe: Observer | None

    def batch(
        self, prompts: Sequence[Sequence[int]], places: Sequence[int], numbers: Sequence[int], limits: Sequence[int]
    ) -> list[list[int]]:
        """Write the responses to some prompts together."""
        writer = CachedModel(self.model, prompts)
        follower = None if self.follower_of is None else self.follower_of(writer, places)
        device = self.model.device
        batch = _Batch.of(places, numbers, limits, device)
        ends, n_steps = set(self.vocabulary.ends), max(limits)
        uniforms = None
        if not self.sampling.is_greedy:
            uniforms = uploaded(row_uniforms(self.seed, numbers, n_steps).T.contiguous(), device)  # (token, row)
        responses: list[list[int]] = [[] for _ in prompts]
        with writer.reading(self.layer):
            for step in range(n_steps):
                state = self._state(writer, follower, step, batch, uniforms)
                tokens = self._tokens(state, writer)
                batch.last = tokens.tolist()  # the loop waits for the device here, once a token, and nowhere else
                for slot, token in zip(batch.slots, batch.last, strict=True):
                    responses[slot].append(token)
                going = [
                    token not in ends and limit > step + 1
                    for token, limit in zip(batch.last, batch.limits, strict=True)
                ]
                if self.observe is not None:
                    stopped = self.observe(state, batch.places, tokens, batch.last)
                    if stopped is not None:
                        going = [goes and not stops for goes, stops in zip(going, stopped, strict=True)]
                if not any(going):
                    break
                emitted, remaining, on = batch.last, None, None
                if not all(going):
                    on = [row for row, goes in enumerate(going) if goes]
                    remaining = uploaded(on, device)
                    batch = batch.select(on, remaining)
                writer.extend(tokens, remaining)
                if follower is not None:
                    follower.extend(tokens, remaining, (emitted, on))
        return responses

    def _state(
        self, writer: CachedModel, follower: Follower | None, step: int, batch: _Batch, uniforms: Tensor | None
    ) -> StepState:
        logits = self.vocabulary.merged(writer.step())
        return StepState(
            step=step,
            rows=batch.rows,
            numbers=batch.numbers,
            last_tokens=batch.last,
            places=batch.places,
            last_ids=writer.last_ids,
            activations=writer.activations,
            logits=logits,
            follower_logits=None if follower is None else self.vocabulary.merged(follower.step().to(logits.device)),
            follower_activations=None if follower is None else follower.activations,
            sampling=self.sampling,
            uniforms=None if uniforms is None else uniforms[step, batch.slots_there],
        )

    def _tokens(self, state: StepState, writer: CachedModel) -> Int[Tensor, " rows"]:
        tokens = state.chosen()
        for intervene in self.interventions:
            change = intervene(state)
            if change is not None:
                tokens = tokens.index_copy(0, change.rows, self._changed(change, state, writer))
        return tokens

    def _changed(self, change: Change, state: StepState, writer: CachedModel) -> Int[Tensor, " changed"]:
        if change.tokens is not None:
            return change.tokens
        assert change.activations is not None, "a change gives tokens or activations"
        logits = self.vocabulary.merged(writer.logits_with(change.activations, change.rows))
        if change.look is not None:
            change.look(logits)
        uniforms = None if state.uniforms is None else state.uniforms[change.rows]
        return choose_tokens(logits, self.sampling, uniforms)


@dataclass(eq=False, slots=True)
class _Batch:
    """Which rows are still being written; known to the host, and what a step needs of it to the device too."""

    slots: list[int]  # places in the batch as it began
    places: list[int]  # of the prompts among all that are answered
    numbers: list[int]  # that random numbers go by
    limits: list[int]  # tokens at most
    slots_there: Int[Tensor, " rows"]
    rows: Int[Tensor, " rows"]  # `numbers`
    last: list[int] | None = None  # the token that was emitted last in each row

    @classmethod
    def of(cls, places: Sequence[int], numbers: Sequence[int], limits: Sequence[int], device: torch.device) -> _Batch:
        slots = list(range(len(places)))
        there = uploaded(slots, device), uploaded(list(numbers), device)
        return cls(slots, list(places), list(numbers), list(limits), *there)

    def select(self, rows: Sequence[int], rows_there: Int[Tensor, " remaining"]) -> _Batch:
        columns = (self.slots, self.places, self.numbers, self.limits)
        slots, places, numbers, limits = ([column[row] for row in rows] for column in columns)
        last = None if self.last is None else [self.last[row] for row in rows]
        there = self.slots_there[rows_there], self.rows[rows_there]
        return _Batch(slots, places, numbers, limits, *there, last)
