"""Make a hybrid's components from what the thinking model writes on training problems.

1. Rollouts of the thinking model, labelled by the annotator, say what the behaviours are.
2. Mechanisms, at each layer that is tried:
   optimised        vectors found by descent through the base, added at the token before each sentence
   mean-difference  of the base's activations at that token, this behaviour less the others
   joint            vectors and their strengths found together, where the base would not say what was written
                    (`coefficient_fit.py`)
   and one general vector for all sentences, where an arm needs it: the control that knows no behaviour.
3. Which: a linear probe on the base's own activation at that token, for the behaviour of the sentence that comes.
4. When: a linear probe on the base's own activation at every token of the rollouts, for whether the thinking model's
   likeliest token differs from the base's. With it no thinking model is needed at inference.

Each is trained through the very place at which decoding steers, on text after the base's own prompt. What is made is
kept in the experiment's directory and not made again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ...activations import Activations, collect
from ...probes.folds import common_labels
from ...rundir import InputError
from ...traces import Trace, digest
from ...vectors import Directions, OptimisedSettings, mean_difference_directions, optimised_directions
from ...vectors.steering.sentence_ends import ends_sentence
from .arms import ARMS
from .coefficient import Coefficients
from .components import Components, Probes
from .experiment import Experiment
from .first_words import first_words
from .networks import add_network, directions_of_networks, only_behaviours, train_network
from .probe_fit import N_FOLDS, fit_probes
from .rollouts import rollouts_with_room
from .wordings import wordings

logger = logging.getLogger(__name__)

FORMAT_LABELS = ("nonsense",)  # never a behaviour to steer towards


def make_components(
    experiment: Experiment, rollouts: list[Trace], *, optimised: OptimisedSettings | None = None
) -> Components:
    """Make or open all components of a pair.

    Args:
        experiment: Its directory keeps vectors, probes and networks.
        rollouts: Labelled ones of the thinking model.
        optimised: How vectors are optimised; behaviours and template are those of the pair.

    Raises:
        InputError: The rollouts show fewer than two behaviours often enough.
    """
    directory, settings, pair = experiment.directory, experiment.settings, experiment.pair
    traces = rollouts_with_room(experiment, rollouts)
    common = behaviours = common_behaviours(experiment, traces)
    logger.info(f"{pair.name}: {len(traces)} rollouts of {pair.thinking.name}: {', '.join(common)}")
    networks: dict[int, Coefficients] = {}
    if settings.mechanism == "joint":
        networks = _joint_networks(experiment, traces, common)
        behaviours = list(networks[experiment.layers[0]].mechanism.behaviours)  # those at which the models differ
    source = _Source(experiment, traces, common, behaviours, networks, optimised)
    directions = directory.once("vectors.safetensors", source.directions, save=Directions.save, open=Directions.open)
    bias = None
    if any("bias vector" in ARMS[arm].needs for arm in settings.arms):
        bias = directory.once("bias.safetensors", source.bias, save=Directions.save, open=Directions.open)
    words = None
    if any("first words" in ARMS[arm].needs for arm in settings.arms):
        words = first_words(pair.base, traces, directions.behaviours, template=pair.base_template)
    of_behaviours = None
    if any("wordings" in ARMS[arm].needs for arm in settings.arms):
        of_behaviours = wordings(pair.base, traces, directions.behaviours, template=pair.base_template)
    components = Components(
        traces=tuple(traces),
        directions=directions,
        bias=bias,
        probes=directory.once("probes.safetensors", source.probes, save=Probes.save, open=Probes.open),
        sentence_ends=ends_sentence(pair.base),
        first_words=words,
        wordings=of_behaviours,
        networks=networks,
    )
    if settings.strength_by == "network":
        for layer in experiment.layers:
            add_network(experiment, components, layer)
    return components


@dataclass(frozen=True, eq=False)
class _Source:
    """What vectors and probes are made of; activations are collected when they are first needed."""

    experiment: Experiment
    traces: list[Trace]
    common: list[str]  # behaviours that are often enough in the rollouts: of what is optimised
    behaviours: list[str]  # that are steered towards: the same, but with `joint`
    networks: dict[int, Coefficients]
    optimised: OptimisedSettings | None

    @cached_property
    def before(self) -> Activations:
        """The base's activations at the token before each sentence."""
        pair = self.experiment.pair
        return collect(
            pair.base,
            self.traces,
            read="before:1",
            layers=list(self.experiment.layers),
            template=pair.base_template,
            truncate=True,
            progress=False,
        ).load()

    def directions(self) -> Directions:
        mechanism = self.experiment.settings.mechanism
        if mechanism == "joint":
            return directions_of_networks(self.networks, self.traces, self.before)
        if mechanism == "mean-difference":
            return mean_difference_directions(self.before, behaviours=self.behaviours, data_digest=digest(self.traces))
        return self._descended(self._optimised)

    def bias(self) -> Directions:
        return self._descended(replace(self._optimised, bias=True, bias_only=True))

    def probes(self) -> Probes:
        return fit_probes(self.experiment, self.traces, self.before, self.behaviours)

    @property
    def _optimised(self) -> OptimisedSettings:
        settings = self.experiment.settings
        return replace(
            self.optimised or OptimisedSettings(seed=settings.seed, cache_gigabytes=settings.cache_gigabytes),
            behaviours=tuple(self.common),
            template=self.experiment.pair.base_template,
            truncate=True,
        )

    def _descended(self, optimised: OptimisedSettings) -> Directions:
        experiment = self.experiment
        layers = list(experiment.layers)
        return optimised_directions(experiment.pair.base, self.traces, layers, optimised, progress=experiment.progress)


def common_behaviours(experiment: Experiment, traces: Sequence[Trace]) -> list[str]:
    """List the behaviours that are in enough problems to be learnt.

    Raises:
        InputError: There are fewer than two.
    """
    thinking = experiment.pair.thinking.name
    spans = [(span.label, trace.problem) for trace in traces for span in trace.spans]
    if not spans:
        raise InputError(f"the annotator finds no behaviour in what {thinking} writes; give another annotator")
    labels, problems = [label for label, _ in spans], [problem for _, problem in spans]
    common = [name for name in common_labels(labels, problems, N_FOLDS) if name not in FORMAT_LABELS]
    if len(common) < 2:
        raise InputError(
            f"the rollouts of {thinking} show fewer than two behaviours in {N_FOLDS} problems or more: give "
            "more --train problems, or longer rollouts (--max-new-tokens)"
        )
    return common


def _joint_networks(
    experiment: Experiment, traces: Sequence[Trace], behaviours: Sequence[str]
) -> dict[int, Coefficients]:
    """Networks by layer, each with vectors of its own."""
    shown = only_behaviours(traces, behaviours)
    networks = {layer: train_network(experiment, shown, layer) for layer in experiment.layers}
    common = networks[experiment.layers[0]].mechanism.behaviours
    if len(common) < 2:
        raise InputError(
            f"{experiment.pair.base.name} would say otherwise only in sentences of {common[0]}, and a hybrid chooses "
            "among two behaviours or more: take --mechanism optimised, or give more --train problems"
        )
    return networks
