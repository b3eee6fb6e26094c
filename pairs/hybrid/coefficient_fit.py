"""Training behaviour vectors and their coefficients together, on what the thinking model wrote.

    minimise    mean over behaviours c of the mean over the disagreements of c of
                -log p(the rollout's token | all before it, h' = h + a(h, c) n v_c at block L)

over v and the network a (`coefficient.py`), at the very place at which decoding steers. Only tokens that the base would
not have said count: elsewhere there is nothing to learn and decoding does not steer. AdamW (Loshchilov & Hutter 2019),
gradients clipped; problems that training never sees say when to stop, and the best epoch is kept, vectors and network
together. (arXiv 2510.07364, where each was kept at an epoch of its own.)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from ...activations import collect
from ...models import LanguageModel
from ...models.device_copies import uploaded
from ...probes.folds import common_labels
from ...rundir import InputError, listed, settings_of
from ...rundir.progress import with_progress
from ...traces import Template, Trace, encode
from ...vectors.extraction.likelihood import frozen
from ...vectors.extraction.prefix_cache import texts_that_fit
from .coefficient import CoefficientNetwork, Coefficients
from .disagreements import Disagreements, Rerun, disagreements
from .mechanism import Mechanism

GAIN = 1e-4  # nats: less is no gain
ROWS_X_TOKENS = 65_536  # of examples that are run together: their prefixes are gathered from the cache


@dataclass(frozen=True, kw_only=True)
class CoefficientSettings:
    """How long and how fast is trained."""

    vector_step: float = (
        0.1  # strength by which one step can move a vector at most (AdamW's rate, for the whole vector)
    )
    network_rate: float = 1e-3
    clip: float = 1.0  # longest a step's gradient may be
    n_epochs: int = 10
    patience: int = 5  # epochs without a gain on held-out problems
    tokens_per_step: int = 32
    held_out: float = 0.2  # share of the problems
    tokens_per_batch: int = 4096
    cache_gigabytes: float = 4.0
    template: Template = "auto"
    truncate: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_epochs", "patience", "tokens_per_step", "tokens_per_batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, and {getattr(self, name)} is not")
        for name in ("vector_step", "network_rate", "clip"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0, and {getattr(self, name)} is not")
        if not 0 < self.held_out < 1:
            raise InputError(f"held_out is a share of the problems, between 0 and 1, and {self.held_out} is not")


def fit_coefficients(
    base: LanguageModel,
    traces: Sequence[Trace],
    layer: int,
    settings: CoefficientSettings | None = None,
    *,
    behaviours: Sequence[str] | None = None,
    mechanism: Mechanism | None = None,
    progress: bool = False,
) -> Coefficients:
    """Vectors and network for labelled rollouts of a thinking model. `.mechanism` and `.strength` go into a `Plan`.

    layer: at whose output is steered. behaviours: labels to learn a vector for; None: all that disagree in 5 problems
    or more. mechanism: vectors that are kept as they are, only their strength is learnt; its behaviours are then taken.
    Raises InputError where base and rollouts disagree too seldom to hold problems out.
    """
    settings = settings_of(settings, CoefficientSettings)
    layer = base.layer_index(layer)
    if mechanism is not None:
        if mechanism.layer != layer:
            raise InputError(f"the vectors are of layer {mechanism.layer}, and layer {layer} is to be steered")
        behaviours = mechanism.behaviours
    lengths = [len(text) for text in encode(base, traces, template=settings.template, truncate=settings.truncate)]
    some = [traces[number] for number in texts_that_fit(base, lengths, settings.cache_gigabytes, settings.seed)]
    with frozen(base):
        examples = disagreements(
            base,
            some,
            layer,
            template=settings.template,
            truncate=settings.truncate,
            tokens_per_batch=settings.tokens_per_batch,
        )
        names = tuple(behaviours or common_labels(examples.label, examples.problem, 5))
        norm = _norm(base, traces, layer, settings) if mechanism is None else mechanism.residual_norm
        network = CoefficientNetwork(len(names), base.d_model, norm, seed=settings.seed).to(base.device)
        if mechanism is not None:
            network.vectors.data.copy_(mechanism.units)
            network.vectors.requires_grad_(False)
        fit = _Fit(base, layer, examples, names, norm, network, settings)
        scores = fit.run(progress)
    return Coefficients.of(
        network, behaviours=names, layer=layer, residual_norm=norm, scores=scores, model=base.identity()
    )


def _norm(base: LanguageModel, traces: Sequence[Trace], layer: int, settings: CoefficientSettings) -> float:
    activations = collect(
        base, traces, layers=[layer], template=settings.template, truncate=settings.truncate, progress=False
    )
    return float(activations.residual_norm[0])


class _Fit:
    def __init__(
        self,
        base: LanguageModel,
        layer: int,
        examples: Disagreements,
        names: Sequence[str],
        norm: float,
        network: CoefficientNetwork,
        settings: CoefficientSettings,
    ) -> None:
        self._examples, self._norm, self._network, self._settings = examples, norm, network, settings
        self._random = np.random.default_rng(settings.seed)
        problems = sorted(set(examples.problem))
        n_held = max(1, round(settings.held_out * len(problems)))
        held = set(self._random.permutation(problems)[:n_held].tolist())
        number = np.array([names.index(label) if label in names else -1 for label in examples.label], dtype=np.int64)
        is_held = np.array([problem in held for problem in examples.problem], dtype=bool)
        behaviour = torch.from_numpy(number)
        self._training = np.flatnonzero((number >= 0) & ~is_held)
        self._held_out = np.flatnonzero((number >= 0) & is_held)
        for part, what in ((self._training, "trained on"), (self._held_out, "held out")):
            if not names or not len(part):
                raise InputError(
                    f"of {examples.n_tokens} tokens the base would not say {len(examples)}; of those none of the "
                    f"behaviours ({listed(names, 9) or 'none common'}) is left to be {what}. Give more rollouts, or "
                    "check the labels' spelling."
                )
        share = torch.zeros(len(examples))
        for part in (self._training, self._held_out):
            here = behaviour[part]
            counts = torch.bincount(here, minlength=len(names))
            share[part] = 1 / (counts[here] * (counts > 0).sum())  # a behaviour's add up to 1 of all behaviours
        self._behaviour, self._share = behaviour.to(base.device), share.to(base.device)
        self._rerun = Rerun(
            base, layer, examples, tokens_per_batch=settings.tokens_per_batch, cache_gigabytes=settings.cache_gigabytes
        )

    def run(self, progress: bool) -> dict[str, object]:
        settings, network = self._settings, self._network
        weights = [*network.hidden.parameters(), *network.heads.parameters()]
        groups: list[dict[str, Any]] = [{"params": weights, "lr": settings.network_rate}]
        if network.vectors.requires_grad:
            groups.append({"params": [network.vectors], "lr": settings.vector_step / network.vectors.shape[1] ** 0.5})
        adam = torch.optim.AdamW(groups)
        every = [weight for group in groups for weight in group["params"]]
        unsteered = self._held_out_loss(steered=False)
        losses, best, best_state = [self._held_out_loss()], np.inf, copy.deepcopy(network.state_dict())
        training, at = [], 0
        for epoch in with_progress(
            range(1, settings.n_epochs + 1), desc="fitting strengths", unit="epoch", progress=progress
        ):
            order = self._random.permutation(self._training)
            step_losses = []  # left where they are: to look at each, the host would wait
            for start in range(0, len(order), settings.tokens_per_step):
                rows = order[start : start + settings.tokens_per_step]
                adam.zero_grad()
                loss = self._loss(rows)
                step_losses.append(loss.detach())
                torch.autograd.backward(loss * len(order) / len(rows))
                torch.nn.utils.clip_grad_norm_(every, settings.clip)
                adam.step()
            training.append(sum(torch.stack(step_losses).tolist()))
            losses.append(self._held_out_loss())
            if losses[-1] < best - GAIN:
                best, at, best_state = losses[-1], epoch, copy.deepcopy(network.state_dict())
            elif epoch - at >= settings.patience:
                break
        network.load_state_dict(best_state)
        return {
            "held_out_loss": best,
            "held_out_loss_unsteered": unsteered,
            "held_out_losses": losses,  # before the first epoch and after each
            "training_losses": training,
            "epoch": at,
            "n_training": len(self._training),
            "n_held_out": len(self._held_out),
            "n_tokens": self._examples.n_tokens,
        }

    def _loss(self, rows: Int[np.ndarray, " rows"], *, steered: bool = True) -> Float[Tensor, ""]:
        """Add up the losses of some examples, by their shares."""
        index = uploaded(torch.from_numpy(rows), self._share.device)
        activations = self._examples.activations[index]
        if steered:
            activations = activations + self._norm * self._network.moved(activations, self._behaviour[index])
        logits = self._rerun.logits(rows, activations)
        tokens = uploaded(self._examples.token[torch.from_numpy(rows)], logits.device)
        losses = cross_entropy(logits, tokens, reduction="none")
        return (losses.to(self._share.device) * self._share[index]).sum()

    @torch.no_grad()
    def _held_out_loss(self, *, steered: bool = True) -> float:
        order = self._held_out[np.argsort(self._examples.position[self._held_out], kind="stable")]
        longest = int(self._examples.position[order].max()) + 1
        n_rows = max(1, min(256, ROWS_X_TOKENS // longest))
        parts = [order[start : start + n_rows] for start in range(0, len(order), n_rows)]
        return float(sum(self._loss(rows, steered=steered) for rows in parts if len(rows)))
