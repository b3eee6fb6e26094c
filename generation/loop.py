"""Write token by token: the one step loop that every text of a model here comes from.

    for each token of the response:
        logits      of the model that writes and, where one reads along, of its follower
        state       what gates and interventions look at (`state.py`)
        token       chosen greedily or by the row's own random number (`sampling.py`); interventions replace it in order
        next        rows that have ended leave; both caches go on from what was emitted, unsteered

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
from .cached_model import CachedModel, Follower, takes_cache
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
    for places in _batches(prompts, room, n_rows, of_one_length=not takes_cache(model)):
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
        ends = torch.tensor(self.vocabulary.ends, device=device, dtype=torch.long)
        n_steps, first_limit = max(limits), min(limits)
        uniforms = None
        if not self.sampling.is_greedy:
            uniforms = row_uniforms(self.seed, numbers, n_steps).T.contiguous().to(device)  # (token, row)
        emitted: list[tuple[Tensor, Tensor]] = []
        with writer.reading(self.layer):
            for step in range(n_steps):
                state = self._state(writer, follower, step, batch, uniforms)
                tokens = self._tokens(state, writer)
                emitted.append((batch.slots, tokens))
                going = ~torch.isin(tokens, ends)
                if self.observe is not None:
                    stopped = self.observe(state, batch.places, tokens)
                    going = going if stopped is None else going & ~stopped
                if step + 1 >= first_limit:
                    going &= batch.limits > step + 1
                n_going = int(going.sum())
                if not n_going:
                    break
                remaining = None if n_going == len(going) else going.nonzero()[:, 0]
                writer.extend(tokens, remaining)
                if follower is not None:
                    follower.extend(tokens, remaining)
                if remaining is not None:
                    batch = batch.select(remaining)
        return _by_row(emitted, len(prompts))

    def _state(
        self, writer: CachedModel, follower: Follower | None, step: int, batch: _Batch, uniforms: Tensor | None
    ) -> StepState:
        logits = self.vocabulary.merged(writer.step())
        return StepState(
            step=step,
            rows=batch.numbers,
            places=batch.places,
            last_ids=writer.last_ids,
            activations=writer.activations,
            logits=logits,
            follower_logits=None if follower is None else self.vocabulary.merged(follower.step().to(logits.device)),
            follower_activations=None if follower is None else follower.activations,
            sampling=self.sampling,
            uniforms=None if uniforms is None else uniforms[step, batch.slots],
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


@dataclass(frozen=True, eq=False, slots=True)
class _Batch:
    """Which rows are still being written."""

    slots: Int[Tensor, " rows"]  # places in the batch as it began
    places: Int[Tensor, " rows"]  # of the prompts among all that are answered
    numbers: Int[Tensor, " rows"]  # that random numbers go by
    limits: Int[Tensor, " rows"]  # tokens at most

    @classmethod
    def of(cls, places: Sequence[int], numbers: Sequence[int], limits: Sequence[int], device: torch.device) -> _Batch:
        columns = (range(len(places)), places, numbers, limits)
        return cls(*(torch.tensor(list(column), device=device) for column in columns))

    def select(self, remaining: Int[Tensor, " remaining"]) -> _Batch:
        columns = (self.slots, self.places, self.numbers, self.limits)
        return _Batch(*(column[remaining] for column in columns))


def _by_row(emitted: Sequence[tuple[Tensor, Tensor]], n_rows: int) -> list[list[int]]:
    """Sort what was emitted step by step into the rows of the batch."""
    order = torch.cat([slots for slots, _ in emitted]).sort(stable=True)
    sizes = order.values.bincount(minlength=n_rows).tolist()
    tokens = torch.cat([tokens for _, tokens in emitted])[order.indices].cpu()
    return [row.tolist() for row in torch.split(tokens, sizes)]
