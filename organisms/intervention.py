"""Interventions on a base at its decisions: boosts of words, and vectors, learnt from what a trained model wrote.

The second word of a sentence decides what the sentence does. Where it is about to be said, an intervention either adds
nats to the logits of words (what a steered word would do) or a vector to the output of a block at the opener (what a
behaviour vector does). It may know the state of the response (gated: another row of the table in each state), or be the
same everywhere. Both kinds are fitted alike: by the likelihood of the second words that the trained model wrote, the
intervention at work at every sentence of a text, as it is when the base writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from .corpus import encode_prompt, make_batch, vocabulary, words_of
from .labeller import Reading
from .language import SECONDS, STOP, parse
from .machine import STATES, Machine
from .task import Problem

MOST_NATS = 20.0  # of a boost


@dataclass(frozen=True, eq=False)
class Intervention:
    """What is added where a second word is about to be said.

    Attributes:
        table: A row for each of `STATES`, or one row for all; logits in nats, or a vector of the residual stream.
        layer: 0-based block to whose output vectors are added, at the opener; None: the table is of logits.
    """

    table: Float[Tensor, "states width"]
    layer: int | None = None

    def rows(self, states: Int[Tensor, " rows"]) -> Float[Tensor, "rows width"]:
        """Look up what is added in some states.

        Args:
            states: Numbers of `STATES`.

        Returns:
            A row for each.
        """
        return self.table[states] if len(self.table) > 1 else self.table.expand(len(states), -1)


class States:
    """The state that each response under way is in, by replaying what is said."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._machines = [Machine(problem) for problem in problems]
        self._sentences: list[list[str]] = [[] for _ in problems]

    @property
    def numbers(self) -> Int[Tensor, " rows"]:
        """Number of the state in `STATES`; of a finished response the first."""
        states = [machine.state for machine in self._machines]
        return torch.tensor([0 if state == "done" else STATES.index(state) for state in states])

    def advance(self, tokens: Int[Tensor, " rows"]) -> None:
        """Go on from what was said; a sentence off the grammar changes nothing."""
        for machine, sentence, token in zip(self._machines, self._sentences, tokens.tolist(), strict=True):
            sentence.append(words_of()[token])
            if sentence[-1] == STOP:
                parsed = parse(sentence)
                if parsed is not None and not machine.is_done:
                    machine.advance(*parsed)
                sentence.clear()

    def select(self, rows: Int[Tensor, " remaining"]) -> None:
        """Go on with some of the rows."""
        self._machines = [self._machines[row] for row in rows.tolist()]
        self._sentences = [[*self._sentences[row]] for row in rows.tolist()]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """steps: of the optimiser; texts: of a step; rate: learning rate of vectors, in mean residual norms."""

    steps: int = 100
    texts: int = 16
    rate: float = 0.005
    seed: int = 0


@dataclass(frozen=True, eq=False)
class DecisionTexts:
    """Responses of a trained model, and where in them second words are said.

    Attributes:
        ids: Token ids of each prompt with its response.
        openers: Where the opener of each sentence stands, for each text.
        states: Number of the state in `STATES` that each sentence is said in.
    """

    ids: tuple[tuple[int, ...], ...]
    openers: tuple[tuple[int, ...], ...]
    states: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, problems: Sequence[Problem], responses: Sequence[Sequence[int]], readings: Sequence[Reading]
    ) -> DecisionTexts:
        """Find the decisions in responses.

        Args:
            problems: What each response answers.
            responses: Token ids.
            readings: Of the responses.

        Returns:
            The texts.
        """
        ids, openers, states = [], [], []
        for problem, response, reading in zip(problems, responses, readings, strict=True):
            prompt = encode_prompt(problem)
            steps = [step for step in reading.steps if step.move is not None]
            ids.append((*prompt, *response))
            openers.append(tuple(len(prompt) + step.first for step in steps))
            states.append(tuple(STATES.index(step.state) for step in steps))
        return cls(tuple(ids), tuple(openers), tuple(states))

    def batch(self, numbers: Sequence[int]) -> _Places:
        """Put some texts together."""
        batch = make_batch([()] * len(numbers), [self.ids[number] for number in numbers])
        rows = [row for row, number in enumerate(numbers) for _ in self.openers[number]]
        openers = torch.tensor([place for number in numbers for place in self.openers[number]])
        states = torch.tensor([state for number in numbers for state in self.states[number]])
        return _Places(batch.ids, torch.tensor(rows), openers, states)


@dataclass(frozen=True, eq=False, slots=True)
class _Places:
    """Texts of a step, and a row of each of their decisions."""

    ids: Int[Tensor, "texts tokens"]
    rows: Int[Tensor, " decisions"]
    openers: Int[Tensor, " decisions"]
    states: Int[Tensor, " decisions"]

    @property
    def seconds(self) -> Int[Tensor, " decisions"]:
        """The second words that were said."""
        return self.ids[self.rows, self.openers + 1]

    def logits(self, model: LlamaForCausalLM) -> Float[Tensor, "decisions vocabulary"]:
        """Logits of the second words."""
        logits: Tensor = model(self.ids, use_cache=False).logits
        return logits[self.rows, self.openers]


def fit_vectors(
    base: LlamaForCausalLM,
    texts: DecisionTexts,
    layer: int,
    *,
    is_gated: bool = True,
    settings: FitSettings | None = None,
) -> Intervention:
    """Fit vectors that make a base open sentences as a trained model did.

    Args:
        base: The model that will be intervened on.
        texts: Of the trained model.
        layer: 0-based block.
        is_gated: Whether each state has a vector of its own.
        settings: How long and how fast.

    Returns:
        The vectors.
    """
    chosen = settings or FitSettings()
    table = torch.zeros((len(STATES) if is_gated else 1, base.config.hidden_size), requires_grad=True)
    generator = torch.Generator().manual_seed(chosen.seed)
    optimizer = torch.optim.Adam([table], lr=chosen.rate * _residual_norm(base, texts, layer))
    for _ in range(chosen.steps):
        numbers = torch.randperm(len(texts.ids), generator=generator)[: chosen.texts].tolist()
        places = texts.batch(numbers)
        with pushed(base, layer, places, Intervention(table, layer).rows(places.states)):
            loss = cross_entropy(places.logits(base), places.seconds)
        (table.grad,) = torch.autograd.grad(loss, table)
        optimizer.step()
    return Intervention(table.detach(), layer)


@contextmanager
def pushed(
    base: LlamaForCausalLM, layer: int, places: _Places, added: Float[Tensor, "decisions width"]
) -> Iterator[None]:
    """Add vectors to the output of a block at the openers of texts."""

    def push(module: object, inputs: object, output: Tensor) -> Tensor:
        return output.index_put((places.rows, places.openers), added, accumulate=True)

    hook = base.model.layers[layer].register_forward_hook(push)
    try:
        yield
    finally:
        hook.remove()


def fit_words(
    base: LlamaForCausalLM, texts: DecisionTexts, *, is_gated: bool = False, words: Sequence[str] = SECONDS
) -> tuple[Intervention, float]:
    """Fit boosts of second words that make a base open sentences as a trained model did.

    Args:
        base: The model that will be intervened on.
        texts: Of the trained model.
        is_gated: Whether each state has boosts of its own.
        words: Those that may be boosted.

    Returns:
        The boosts, and the mean negative log likelihood of the second words with them, in nats.
    """
    boosted = [vocabulary()[word] for word in words]
    logits, seconds, states = _decisions(base, texts)
    shape = (len(STATES) if is_gated else 1, len(boosted))

    def table_of(boosts: np.ndarray) -> Float[Tensor, "states vocabulary"]:
        table = torch.zeros((shape[0], logits.shape[1]), dtype=torch.float64)
        table[:, boosted] = torch.from_numpy(boosts).reshape(shape)
        return table

    def loss_and_gradient(boosts: np.ndarray) -> tuple[float, np.ndarray]:
        table = table_of(boosts).requires_grad_()
        loss = cross_entropy(logits.double() + Intervention(table).rows(states), seconds)
        (gradient,) = torch.autograd.grad(loss, table)
        return loss.item(), gradient[:, boosted].flatten().numpy()

    start = np.zeros(shape).flatten()
    bounds = [(-MOST_NATS, MOST_NATS)] * len(start)  # a word that never comes in a state would go to minus infinity
    fit = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return Intervention(table_of(fit.x).float()), float(fit.fun)


def fit_word(base: LlamaForCausalLM, texts: DecisionTexts) -> Intervention:
    """Fit the boost of each second word alone, the same in all states, and keep the likeliest.

    Args:
        base: The model that will be intervened on.
        texts: Of the trained model.

    Returns:
        The boost of one word.
    """
    return min((fit_words(base, texts, words=[word]) for word in SECONDS), key=lambda fit: fit[1])[0]


@torch.no_grad()
def _decisions(
    base: LlamaForCausalLM, texts: DecisionTexts
) -> tuple[Float[Tensor, "decisions vocabulary"], Int[Tensor, " decisions"], Int[Tensor, " decisions"]]:
    """Read logits of the base, second words and states of all decisions."""
    parts = [texts.batch(range(first, min(first + 32, len(texts.ids)))) for first in range(0, len(texts.ids), 32)]
    logits = torch.cat([places.logits(base) for places in parts])
    return logits, torch.cat([places.seconds for places in parts]), torch.cat([places.states for places in parts])


@torch.no_grad()
def _residual_norm(base: LlamaForCausalLM, texts: DecisionTexts, layer: int) -> float:
    """Mean norm of the output of a block at openers."""
    places = texts.batch(range(min(32, len(texts.ids))))
    hidden = base(places.ids, use_cache=False, output_hidden_states=True).hidden_states[layer + 1]
    return float(hidden[places.rows, places.openers].norm(dim=-1).mean())
