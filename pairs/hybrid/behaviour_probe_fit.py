"""Fit the probes by which arms choose behaviours in another way than the hybrid, once for the layer that was chosen."""

from __future__ import annotations

from ...activations import collect
from ...rundir import InputError
from .behaviour_probe import BehaviourProbe, Whose, as_far_up
from .components import Components
from .experiment import Experiment
from .probe_fit import fit_which
from .rollouts import labelled_rollouts


def add_behaviour_probe(experiment: Experiment, components: Components, whose: Whose, layer: int) -> None:
    """Fit a probe into `components.behaviour_probes`; nothing where there is one.

    Args:
        experiment: Its directory keeps `behaviours-WHOSE-LAYER.safetensors`, and what the base writes by itself.
        components: Of the hybrid.
        whose: Whose sentences are told, from its own activations.
        layer: Block of the base; of a deeper or shallower thinking model the one as far up is read.

    Raises:
        InputError: Fewer than two of the behaviours have a sentence with a token before it that the model can read.
    """
    if (whose, layer) in components.behaviour_probes:
        return
    pair = experiment.pair
    model, template = (
        (pair.thinking, pair.thinking_template) if whose == "thinking" else (pair.base, pair.base_template)
    )
    at = as_far_up(layer, pair.base.n_layers, model.n_layers)

    def fitted() -> BehaviourProbe:
        traces = components.traces if whose == "thinking" else labelled_rollouts(experiment, whose)
        if not any(span.label in components.behaviours for trace in traces for span in trace.spans):
            raise InputError(f"{model.name} writes no sentence of {', '.join(components.behaviours)}")
        before = collect(
            model, traces, read="before:1", layers=[at], template=template, truncate=True, progress=False
        ).load()
        weight, offset = fit_which(before.layer(at), before.labels, components.behaviours)
        n_sentences = sum(label in components.behaviours for label in before.labels)
        return BehaviourProbe(whose=whose, layer=at, weight=weight, offset=offset, n_sentences=n_sentences)

    components.behaviour_probes[whose, layer] = experiment.directory.once(
        f"behaviours-{whose}-{layer}.safetensors", fitted, save=BehaviourProbe.save, open=BehaviourProbe.open
    )
