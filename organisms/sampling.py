"""What an organism answers, greedily or sampled; or what two organisms answer together, one deciding, the other doing.

In a cross-play the decisions (the two words that open a sentence, and the way of a plan) are drawn from the decider and
all other words from the model. Both read all that was said. Each row has uniform numbers of its own, so what it draws
depends neither on the batch nor on which other rows there are, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import LlamaForCausalLM

from ..generation import Sampling, choose_tokens, row_uniforms
from .corpus import decode, encode_prompt, vocabulary
from .decoder import Decoder
from .intervention import Intervention, States
from .labeller import Reading, read
from .language import STOP, WORDINGS, tokenizer
from .task import MAX_RESPONSE_TOKENS, Problem

N_ROWS = 192  # run together; more would not fit the cache of a processor
FEWER = 0.8  # rows that have ended are dropped once this share or less is going on


@torch.inference_mode()
def respond(
    model: LlamaForCausalLM,
    problems: Sequence[Problem],
    seed: int | None = None,
    decider: LlamaForCausalLM | None = None,
    n_rows: int = N_ROWS,
    intervention: Intervention | None = None,
) -> list[list[int]]:
    """Write one response to each problem.

    Args:
        model: The organism that writes.
        problems: What it is asked. Equal problems get responses of their own when sampled.
        seed: Of the random numbers at temperature 1; None: greedily.
        decider: The organism that decides; None: the same.
        n_rows: Problems that are run together; results do not depend on it.
        intervention: On the organism that writes, where it is about to say a second word.

    Returns:
        Token ids of the responses in the order of the problems; the end token comes last where there is one.
    """
    responses: list[list[int]] = []
    for first in range(0, len(problems), n_rows):
        numbers = range(first, min(first + n_rows, len(problems)))
        prompts = torch.tensor([encode_prompt(problems[number]) for number in numbers])
        states = None if intervention is None else States([problems[number] for number in numbers])
        responses += _written(model, prompts, numbers, seed, decider, intervention, states)
    return responses


def readings(problems: Sequence[Problem], responses: Sequence[Sequence[int]]) -> list[Reading]:
    """Read responses by the labeller; one without an end token solves nothing."""
    end = tokenizer().eos_token_id
    read_responses = [read(problem, decode(ids)) for problem, ids in zip(problems, responses, strict=True)]
    return [
        reading if ids and ids[-1] == end else Reading(reading.steps, is_solved=False, is_ended=False)
        for reading, ids in zip(read_responses, responses, strict=True)
    ]


def _written(
    model: LlamaForCausalLM,
    prompts: Int[Tensor, "rows prompt"],
    numbers: Sequence[int],
    seed: int | None,
    decider: LlamaForCausalLM | None,
    intervention: Intervention | None,
    states: States | None,
) -> list[list[int]]:
    n_steps = MAX_RESPONSE_TOKENS + 1  # the end token after the last word
    sampling = Sampling(temperature=0.0 if seed is None else 1.0, top_p=1.0, max_new_tokens=n_steps)
    uniforms = None if seed is None else row_uniforms(seed, numbers, n_steps)
    organisms = [model] if decider is None else [model, decider]
    writers = [Decoder(organism, prompts, prompts.shape[1] + n_steps) for organism in organisms]
    turns = DecisionTurns(len(prompts))
    end = tokenizer().eos_token_id
    written = torch.full((len(prompts), n_steps), tokenizer().pad_token_id)
    slots = torch.arange(len(prompts))
    is_going = torch.ones(len(prompts), dtype=torch.bool)
    for step in range(n_steps):
        logits = writers[0].logits
        if len(writers) == 2:
            logits = torch.where(turns.is_decision[:, None], writers[1].logits, logits)
        tokens = choose_tokens(logits, sampling, None if uniforms is None else uniforms[slots, step])
        written[slots[is_going], step] = tokens[is_going]
        is_going &= tokens != end
        if step + 1 == n_steps or not is_going.any():
            break
        turns.advance(tokens)
        added = None
        if intervention is not None and states is not None:
            states.advance(tokens)
            added = intervention.rows(states.numbers) * turns.is_opened[:, None]
            writers[0].push = None if intervention.layer is None else (intervention.layer, added)
        for writer in writers:
            writer.extend(tokens)
        if added is not None and intervention is not None and intervention.layer is None:
            writers[0].logits = writers[0].logits + added
        if is_going.float().mean() <= FEWER:
            rows = is_going.nonzero()[:, 0]
            slots, is_going = slots[rows], is_going[rows]
            turns.select(rows)
            if states is not None:
                states.select(rows)
            for writer in writers:
                writer.select(rows)
    lengths = (written != tokenizer().pad_token_id).sum(1).tolist()
    return [row[:length] for row, length in zip(written.tolist(), lengths, strict=True)]


class DecisionTurns:
    """Whether the next token of each row is a decision: an opener, a second word or the way of a plan."""

    def __init__(self, n_rows: int) -> None:
        ids = vocabulary()
        self._stop = ids[STOP]
        self._is_plan = torch.zeros((len(ids), len(ids)), dtype=torch.bool)
        for opener, second in WORDINGS["plan"]:
            self._is_plan[ids[opener], ids[second]] = True
        self._place = torch.zeros(n_rows, dtype=torch.long)  # of the next token in its sentence
        self._planning = torch.zeros(n_rows, dtype=torch.bool)
        self._last = torch.full((n_rows,), self._stop)

    @property
    def is_decision(self) -> Bool[Tensor, " rows"]:
        """Whether the next token is one."""
        return (self._place < 2) | (self._planning & (self._place == 4))

    @property
    def is_opened(self) -> Bool[Tensor, " rows"]:
        """Whether the next token is a second word."""
        return self._place == 1

    def advance(self, tokens: Int[Tensor, " rows"]) -> None:
        """Go on from what was said."""
        self._planning = torch.where(self._place == 1, self._is_plan[self._last, tokens], self._planning)
        self._place = torch.where(tokens == self._stop, 0, self._place + 1)
        self._last = tokens

    def select(self, rows: Int[Tensor, " remaining"]) -> None:
        """Go on with some of the rows."""
        self._place, self._planning, self._last = self._place[rows], self._planning[rows], self._last[rows]
