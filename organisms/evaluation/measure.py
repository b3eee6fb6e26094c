"""What an organism does (its policy) and what it can (its skill), read off its probabilities along given responses.

A response is replayed by the labeller, so each sentence has its state and move. The probability of a move in a state is
the sum over the first words that say it; a step is right if, given the words before, the likeliest next word is the
right one at every word after the first. Both are exact: nothing is sampled, and any words of the language can be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from ...stats import Interval, ratio_over_groups
from ..corpus import (
    MAX_RESPONSE_TOKENS,
    encode_prompt,
    encode_response,
    make_batch,
    vocabulary,
)
from ..labeller import FIRST_WORD, Step, steps
from ..search import (
    DECISIONS,
    MOVES,
    Move,
    Search,
    State,
)
from ..task import Problem

Texts: TypeAlias = Sequence[tuple[Problem, str]]
N_TEXTS = 64  # a forward pass


@torch.inference_mode()
def _log_probabilities(model: PreTrainedModel, texts: Texts) -> Iterator[tuple[Float[Tensor, "tokens words"], int]]:
    """For each text in order: log probabilities of the word after each token, and the length of the prompt."""
    for at in range(0, len(texts), N_TEXTS):
        prompts = [encode_prompt(problem) for problem, _ in texts[at : at + N_TEXTS]]
        batch = make_batch(prompts, [encode_response(text) for _, text in texts[at : at + N_TEXTS]])
        log_p = model(batch.ids, use_cache=False).logits.log_softmax(-1)
        yield from zip(log_p, map(len, prompts), strict=True)


def _sentences(problem: Problem, text: str) -> Iterator[tuple[Step, int, list[str]]]:
    """Each sentence that stands whole within the limit: its step, the place of its first word, its words."""
    for step in steps(problem, text):
        place = len(text[: step.start].split())
        words = text[step.start : step.end].split()
        if place + len(words) > MAX_RESPONSE_TOKENS:
            return
        yield step, place, words


def policy(model: PreTrainedModel, texts: Texts) -> dict[State, dict[Move | str, Interval]]:
    """State -> move -> its mean probability where a response comes to the state; `other` for all that may not come.

    Only states with something to decide. The interval is over problems; n counts the problems that come there. What a
    response breaks off with (its end, or nonsense) is a visit too, and the end counts as other.
    """
    words = {
        move: torch.tensor([vocabulary()[word] for word, says in FIRST_WORD.items() if says == move])
        for move in set(FIRST_WORD.values())
    }
    sums: dict[State, dict[Move, list[float]]] = defaultdict(lambda: defaultdict(list))
    visits: dict[State, list[int]] = defaultdict(list)
    groups: dict[State, list[str]] = defaultdict(list)
    for (problem, text), (log_p, n_prompt) in zip(texts, _log_probabilities(model, texts), strict=True):
        here: dict[State, list[dict[Move, float]]] = defaultdict(list)
        for state, open_moves, place in _decisions(problem, text):
            p = log_p[n_prompt + place - 1].exp()
            here[state].append({move: float(p[words[move].to(p.device)].sum()) for move in open_moves})
        for state, shares in here.items():
            visits[state].append(len(shares))
            groups[state].append(problem.group)
            for move in MOVES[state]:
                sums[state][move].append(sum(share.get(move, 0.0) for share in shares))
    table: dict[State, dict[Move | str, Interval]] = {}
    for state in (state for state in DECISIONS if state in visits):
        below = np.array(visits[state], dtype=np.float64)
        moves: dict[Move | str, np.ndarray] = {move: np.array(per_problem) for move, per_problem in sums[state].items()}
        moves["other"] = np.clip(below - sum(moves.values()), 0.0, None)
        table[state] = {move: ratio_over_groups(above, below, groups=groups[state]) for move, above in moves.items()}
    return table


def _decisions(problem: Problem, text: str) -> Iterator[tuple[State, tuple[Move, ...], int]]:
    """Each place where a response decides something: the state, the open moves, the number of words before."""
    search = Search(problem)
    place = 0
    for step, place, words in _sentences(problem, text):
        if search.state in DECISIONS:
            yield search.state, search.moves, place
        if step.move is None:
            return
        search.advance(step.move)
        place += len(words)
    if search.state in DECISIONS and place == len(text.split()) < MAX_RESPONSE_TOKENS:
        yield search.state, search.moves, place


def skill(model: PreTrainedModel, texts: Texts) -> dict[Move, Interval]:
    """Move -> share of its sentences in right texts that the model would say rightly; n counts problems."""
    right: dict[Move, list[float]] = defaultdict(list)
    n_sentences: dict[Move, list[float]] = defaultdict(list)
    groups: dict[Move, list[str]] = defaultdict(list)
    for (problem, text), (log_p, n_prompt) in zip(texts, _log_probabilities(model, texts), strict=True):
        here: dict[Move, list[bool]] = defaultdict(list)
        likeliest = log_p.argmax(-1).tolist()
        for step, place, words in _sentences(problem, text):
            if step.move is not None and step.is_right:
                start = n_prompt + place
                right_words = [vocabulary()[word] for word in words[1:]]
                here[step.move].append(likeliest[start : start + len(right_words)] == right_words)
        for move, outcomes in here.items():
            right[move].append(sum(outcomes))
            n_sentences[move].append(len(outcomes))
            groups[move].append(problem.group)
    return {
        move: ratio_over_groups(np.array(right[move]), np.array(n_sentences[move]), groups=groups[move])
        for move in FIRST_WORD.values()
        if move in n_sentences
    }


@torch.inference_mode()
def divergence(base: PreTrainedModel, model: PreTrainedModel, texts: Texts) -> dict[str, Interval]:
    """KL(base || model) in nats a token along the texts, of content tokens and of decisions; n counts problems."""
    sums: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, list[int]] = defaultdict(list)
    for at in range(0, len(texts), N_TEXTS):
        part = texts[at : at + N_TEXTS]
        batch = make_batch([encode_prompt(problem) for problem, _ in part], [encode_response(text) for _, text in part])
        log_base, log_p = (
            network(batch.ids, use_cache=False).logits[:, :-1].log_softmax(-1) for network in (base, model)
        )
        token_kl = (log_base.exp() * (log_base - log_p)).sum(-1)
        for kind, where in (("content", batch.is_content[:, 1:]), ("decision", batch.is_decision[:, 1:])):
            sums[kind] += (token_kl * where).sum(1).tolist()
            counts[kind] += where.sum(1).tolist()
    groups = [problem.group for problem, _ in texts]
    return {
        kind: ratio_over_groups(np.array(sums[kind]), np.array(counts[kind], dtype=np.float64), groups=groups)
        for kind in sums
    }
