"""Train the networks that set strengths, once for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ...activations import Activations
from ...traces import Trace, digest
from ...vectors import Directions
from .coefficient import Coefficients
from .coefficient_fit import CoefficientSettings, fit_coefficients
from .components import Components
from .experiment import Experiment
from .mechanism import Mechanism


def add_network(experiment: Experiment, components: Components, layer: int) -> None:
    """Train the network for the vectors at `layer` into `components.networks`; nothing where there is one.

    Raises:
        InputError: Base and rollouts disagree too seldom.
    """
    if layer not in components.networks:
        shown = only_behaviours(components.traces, components.behaviours)
        components.networks[layer] = train_network(experiment, shown, layer, vectors=components.mechanism(layer))


def train_network(
    experiment: Experiment, traces: Sequence[Trace], layer: int, *, vectors: Mechanism | None = None
) -> Coefficients:
    """Train what sets strengths at `layer`, once.

    Args:
        experiment: Its directory keeps `coefficients-LAYER.safetensors`.
        traces: Rollouts with sentences of the behaviours labelled, and no others.
        layer: Block of the base, from 0.
        vectors: Of the behaviours; None: vectors of the network's own, found together with it.

    Raises:
        InputError: Base and rollouts disagree too seldom.
    """
    pair, settings = experiment.pair, experiment.settings
    fit_settings = CoefficientSettings(
        template=pair.base_template, truncate=True, cache_gigabytes=settings.cache_gigabytes, seed=settings.seed
    )

    def fitted() -> Coefficients:
        return fit_coefficients(pair.base, traces, layer, fit_settings, mechanism=vectors, progress=experiment.progress)

    return experiment.directory.once(
        f"coefficients-{layer}.safetensors", fitted, save=Coefficients.save, open=Coefficients.open
    )


def directions_of_networks(
    networks: dict[int, Coefficients], traces: Sequence[Trace], before: Activations
) -> Directions:
    """Take the vectors that were found together with their strengths as directions.

    Args:
        networks: By layer.
        traces: The rollouts that they were trained on.
        before: The base's activations at the token before each sentence, for counts and provenance.
    """
    first = next(iter(networks.values()))
    behaviours = first.mechanism.behaviours
    return Directions(
        vectors={
            name: torch.stack(
                [
                    network.network.vectors.detach().cpu()[number] * network.mechanism.residual_norm
                    for network in networks.values()
                ]
            )
            for number, name in enumerate(behaviours)
        },
        layers=tuple(networks),
        method="trained together with their strengths where the base would not say what was written",
        model=first.model,
        read="before:1",
        residual_norm=tuple(network.mechanism.residual_norm for network in networks.values()),
        n_examples={name: int(before.shows(name).sum()) for name in behaviours},
        n_problems=len(set(before.problems)),
        data_digest=digest(traces),
    )


def only_behaviours(traces: Sequence[Trace], behaviours: Sequence[str]) -> list[Trace]:
    """Leave out the spans of all other labels."""
    return [replace(trace, spans=tuple(span for span in trace.spans if span.label in behaviours)) for trace in traces]
