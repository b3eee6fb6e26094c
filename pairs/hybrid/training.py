"""Making a hybrid's parts from what the thinking model writes on training problems.

1. Rollouts of the thinking model, labelled by the annotator: the behaviours are the behaviours.
2. Mechanisms, at each layer asked for:
   optimised        vectors found by descent through the base, added at the token before each sentence
   mean-difference  of the base's activations at that token, this behaviour less the others
   joint            vectors and their strengths found together, where the base would not say what was written
                    (`coefficient_fit.py`)
   and one general vector for all sentences: the control that knows no behaviour.
3. Which: a linear probe on the base's own activation at that token, for the behaviour of the sentence that comes.
4. When: a linear probe on the base's own activation at every token of the rollouts, for whether the thinking model's
   likeliest token differs from the base's. With it no thinking model is needed at inference.

Each is trained through the very place at which decoding steers, on text after the base's own prompt. With a folder,
what is made is kept there and not made again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...activations import Activations, collect
from ...generation import Written, encode_prompts, write
from ...probes import LogisticProbe, MultinomialProbe
from ...probes.folds import common_labels
from ...rundir import InputError
from ...rundir.progress import ProgressBar
from ...traces import Trace, digest, encode
from ...vectors import (
    Directions,
    OptimisedSettings,
    mean_difference_directions,
    optimised_directions,
)
from ...vectors.extraction.prefix_cache import texts_that_fit
from ...vectors.steering.sentence_ends import ends_sentence
from .coefficient import Coefficients
from .coefficient_fit import CoefficientSettings, fit_coefficients
from .kept import Lines, once
from .mechanism import Mechanism
from .pair import Pair
from .parts import Parts, Probes
from .settings import HybridSettings
from .token_table import token_table

logger = logging.getLogger(__name__)

N_FOLDS = 5
BIAS = "bias"  # the one general vector
FORMAT_LABELS = ("nonsense",)  # never a behaviour to steer towards


def train(
    pair: Pair,
    layers: Sequence[int],
    settings: HybridSettings,
    *,
    optimised: OptimisedSettings | None = None,
    out: Path | None = None,
    progress: bool = False,
) -> Parts:
    """All parts for `pair`. Raises InputError where the thinking model's rollouts show no behaviour often enough."""
    written = rollouts(pair, settings, None if out is None else out / "rollouts.jsonl", progress)
    lengths = [len(each) for each in encode(pair.base, written, template=pair.base_template, truncate=True)]
    traces = [written[number] for number in texts_that_fit(pair.base, lengths, settings.cache_gigabytes, settings.seed)]
    if len(traces) < len(written):
        logger.info(
            f"{pair.name}: {len(traces)} rollouts are used, as many as {settings.cache_gigabytes:g} GB have room for"
        )
    common = _common(pair, traces)
    logger.info(f"{pair.name}: {len(traces)} rollouts of {pair.thinking.name}: {', '.join(common)}")
    chosen = replace(
        optimised or OptimisedSettings(seed=settings.seed, cache_gigabytes=settings.cache_gigabytes),
        behaviours=tuple(common),
        template=pair.base_template,
        truncate=True,
    )
    acts: list[Activations] = []  # at the token before each sentence; collected when first needed

    def before() -> Activations:
        if not acts:
            found = collect(
                pair.base,
                traces,
                read="before:1",
                layers=list(layers),
                template=pair.base_template,
                truncate=True,
                progress=False,
            )
            acts.append(found.load())
        return acts[0]

    networks: dict[int, Coefficients] = {}
    if settings.mechanism == "joint":
        shown = _only(traces, common)
        networks = {layer: network(pair, shown, layer, settings, out, progress) for layer in layers}
        common = list(networks[layers[0]].mechanism.behaviours)  # those at which the models differ
        if len(common) < 2:
            raise InputError(
                f"{pair.base.name} would say otherwise only in sentences of {common[0]}, and a hybrid chooses among "
                "two behaviours or more: take --mechanism optimised, or give more --train problems"
            )

    def vectors() -> Directions:
        if settings.mechanism == "joint":
            return _of_networks(networks, traces, before())
        if settings.mechanism == "mean-difference":
            return mean_difference_directions(before(), behaviours=common, data_digest=digest(traces))
        return optimised_directions(pair.base, traces, list(layers), chosen, progress=progress)

    def general() -> Directions:
        wanted = replace(chosen, bias=True, bias_only=True)
        return optimised_directions(pair.base, traces, list(layers), wanted, progress=progress)

    def probes() -> Probes:
        seen, differs, problem = token_table(pair, traces, layers, progress=progress)
        when = {layer: _when(seen[:, place], differs, problem) for place, layer in enumerate(layers)}
        return Probes(
            which={layer: _which(before().layer(layer), before().labels, common) for layer in layers},
            when={layer: found for layer, (found, _) in when.items()},
            auroc_when={layer: auroc for layer, (_, auroc) in when.items()},
            n_disagreements=int(differs.sum()),
            n_tokens=len(differs),
        )

    def place(name: str) -> Path | None:
        return None if out is None else out / name

    directions = once(place("vectors.safetensors"), vectors, Directions.save, Directions.open)
    bias = None
    if "bias" in settings.arms:
        bias = once(place("bias.safetensors"), general, Directions.save, Directions.open)
    parts = Parts(
        traces=tuple(traces),
        directions=directions,
        bias=bias,
        probes=once(place("probes.safetensors"), probes, Probes.save, Probes.open),
        ends=ends_sentence(pair.base),
        networks=networks,
    )
    if settings.strength == "network":
        for layer in layers:
            add_network(pair, parts, layer, settings, out=out, progress=progress)
    return parts


def rollouts(pair: Pair, settings: HybridSettings, kept: Path | None = None, progress: bool = False) -> list[Trace]:
    """What the thinking model writes on the training problems, labelled; written to `kept` batch by batch."""
    prompts = encode_prompts(pair.thinking, [each.prompt for each in pair.train], pair.thinking_template)
    lines = None if kept is None else Lines(kept)
    said = [] if lines is None else [Written(**row) for row in lines.known()]
    with ProgressBar(
        total=len(prompts), initial=len(said), desc=f"{pair.name}: rollouts", unit="problem", progress=progress
    ) as bar:
        while len(said) < len(prompts):
            numbers = range(len(said), min(len(said) + settings.n_rows, len(prompts)))
            some = [prompts[number] for number in numbers]
            new = write(
                pair.thinking, some, settings.rollout, seed=settings.seed, n_rows=settings.n_rows, numbers=numbers
            )
            if lines is not None:
                lines.add([asdict(each) for each in new])
            said += new
            bar.update(len(new))
    found = []
    for number, (question, response) in enumerate(zip(pair.train, said, strict=True)):
        spans = tuple(pair.annotator(question.prompt, response.text))
        found.append(Trace(f"rollout-{number}", question.prompt, response.text, spans, question.problem))
    return [trace for trace in found if trace.text.strip()]


def add_network(
    pair: Pair,
    parts: Parts,
    layer: int,
    settings: HybridSettings,
    *,
    out: Path | None = None,
    progress: bool = False,
) -> None:
    """The coefficient network for the vectors at `layer`, in `parts.networks`; nothing where there is one.

    Raises InputError where base and rollouts disagree too seldom.
    """
    if layer not in parts.networks:
        shown = _only(parts.traces, parts.behaviours)
        parts.networks[layer] = network(pair, shown, layer, settings, out, progress, vectors=parts.mechanism(layer))


def network(
    pair: Pair,
    traces: Sequence[Trace],
    layer: int,
    settings: HybridSettings,
    out: Path | None,
    progress: bool,
    *,
    vectors: Mechanism | None = None,
) -> Coefficients:
    """What sets strengths at `layer`; without `vectors`, with vectors of its own, found together with it."""
    wanted = CoefficientSettings(
        template=pair.base_template, truncate=True, cache_gigabytes=settings.cache_gigabytes, seed=settings.seed
    )

    def fitted() -> Coefficients:
        return fit_coefficients(pair.base, traces, layer, wanted, mechanism=vectors, progress=progress)

    path = None if out is None else out / f"coefficients-{layer}.safetensors"
    return once(path, fitted, Coefficients.save, Coefficients.open)


def _common(pair: Pair, traces: Sequence[Trace]) -> list[str]:
    labels = [(span.label, trace.problem) for trace in traces for span in trace.spans]
    if not labels:
        raise InputError(
            f"the annotator finds no behaviour in what {pair.thinking.name} writes; give another annotator"
        )
    common = [
        name
        for name in common_labels([label for label, _ in labels], [problem for _, problem in labels], N_FOLDS)
        if name not in FORMAT_LABELS
    ]
    if len(common) < 2:
        raise InputError(
            f"the rollouts of {pair.thinking.name} show fewer than two behaviours in {N_FOLDS} problems or more: give "
            "more --train problems, or longer rollouts (--max-new-tokens)"
        )
    return common


def _only(traces: Sequence[Trace], labels: Sequence[str]) -> list[Trace]:
    """With no other sentences labelled."""
    return [replace(each, spans=tuple(span for span in each.spans if span.label in labels)) for each in traces]


def _of_networks(networks: dict[int, Coefficients], traces: Sequence[Trace], acts: Activations) -> Directions:
    """The vectors that were found together with their strengths, as directions."""
    first = next(iter(networks.values()))
    return Directions(
        vectors={
            name: torch.stack(
                [
                    each.network.vectors.detach().cpu()[number] * each.mechanism.residual_norm
                    for each in networks.values()
                ]
            )
            for number, name in enumerate(first.mechanism.behaviours)
        },
        layers=tuple(networks),
        method="trained together with their strengths where the base would not say what was written",
        model=first.model,
        read="before:1",
        residual_norm=tuple(each.mechanism.residual_norm for each in networks.values()),
        n_examples={name: int(acts.shows(name).sum()) for name in first.mechanism.behaviours},
        n_problems=len(set(acts.problems)),
        data_digest=digest(traces),
    )


def _which(
    acts: Float[Tensor, "n d_model"], labels: Sequence[str], behaviours: Sequence[str]
) -> tuple[Float[Tensor, "behaviours d_model"], Float[Tensor, " behaviours"]]:
    known = np.array([label in behaviours for label in labels])
    numbers = np.array([behaviours.index(label) for label in np.array(labels)[known]])
    if len(set(numbers.tolist())) < 2:
        raise InputError(
            "fewer than two behaviours have a token before them that the base can read (templates are not read); give "
            "more --train problems"
        )
    probe = MultinomialProbe().fit(acts[torch.from_numpy(known)].numpy(), numbers)
    weight = torch.zeros(len(behaviours), acts.shape[1])
    offset = torch.full((len(behaviours),), -torch.inf)
    rows, offsets = probe.coef_, probe.intercept_
    if len(probe.classes_) == 2 and len(rows) == 1:
        rows, offsets = np.concatenate([-rows, rows]) / 2, np.concatenate([-offsets, offsets]) / 2
    for row, number in enumerate(probe.classes_):
        weight[number] = torch.from_numpy(np.asarray(rows[row])).float()
        offset[number] = float(offsets[row])
    return weight, offset


def _when(
    acts: Float[Tensor, "n d_model"], differs: Bool[np.ndarray, " n"], problem: Int[np.ndarray, " n"]
) -> tuple[tuple[Float[Tensor, " d_model"], float], float]:
    """The probe on all tokens, and its AUROC where a fifth of the problems was left out."""
    from sklearn.metrics import roc_auc_score

    if differs.all() or not differs.any():
        return (torch.zeros(acts.shape[1]), -torch.inf if not differs.any() else torch.inf), float("nan")
    x = acts.numpy()
    held_out = problem % N_FOLDS == 0
    auroc = float("nan")
    if 0 < differs[held_out].sum() < held_out.sum() and 0 < differs[~held_out].sum() < (~held_out).sum():
        part = LogisticProbe().fit(x[~held_out], differs[~held_out])
        auroc = float(roc_auc_score(differs[held_out], part.decision_function(x[held_out])))
    whole = LogisticProbe().fit(x, differs)
    return (torch.from_numpy(whole.coef_[0]).float(), float(whole.intercept_[0])), auroc
