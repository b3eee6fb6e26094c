"""What the steer commands are given, as the library takes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonlens.cli.console import note

if TYPE_CHECKING:
    from reasonlens.analysis.effect import EffectSettings
    from reasonlens.models import LanguageModel
    from reasonlens.vectors import Directions


def opened_directions(path: Path) -> Directions:
    from reasonlens.vectors import Directions

    return Directions.open(path)


def loaded_model(directions: Directions, model: str | None, device: str | None) -> LanguageModel:
    import reasonlens

    name = model or directions.model.get("name")
    if not name:
        raise reasonlens.InputError("the directions do not say which model they are of; give --model")
    return reasonlens.load(name, device=device)


def with_norms(directions: Directions, model: LanguageModel, layers: list[int]) -> Directions:
    """With residual norms measured where the file has none."""
    import math

    from reasonlens.vectors.residual_norms import with_norms_of

    norms = dict(zip(directions.layers, directions.residual_norm, strict=True))
    unknown = [layer for layer in layers if math.isnan(norms.get(layer, 0.0))]
    if not unknown:
        return directions
    note("the file does not say how long activations are: measuring it on neutral text")
    from reasonlens.analysis.effect.neutral import NEUTRAL

    return with_norms_of(directions, model, NEUTRAL)


def with_auroc(directions: Directions, ranked: Directions) -> Directions:
    """With the AUROC of each behaviour and layer that another file has."""
    from dataclasses import replace
    from math import nan

    scores = {}
    for behaviour in directions.behaviours:
        known = dict(zip(ranked.layers, ranked.scores.get(behaviour, {}).get("auroc", ()), strict=False))
        aurocs = [known.get(layer, nan) for layer in directions.layers]
        scores[behaviour] = {**directions.scores.get(behaviour, {}), **({"auroc": aurocs} if known else {})}
    return replace(directions, scores=scores)


def named_template(name: str) -> Any:
    from reasonlens.rundir import InputError

    if name not in ("auto", "chat", "plain"):
        raise InputError(f"a template is auto, chat or plain, and {name!r} is none")
    return name


def chosen_tokens(when: str, model: LanguageModel) -> dict[str, Any]:
    """The options of `steer` for a text that says which tokens."""
    from reasonlens.vectors.steering import at_sentence_ends

    return {"when": "response", "controller": at_sentence_ends(model)} if when == "sentences" else {"when": when}


def effect_settings(
    model: LanguageModel, directions: Directions, behaviours: str | None, layers: str, strengths: str, random: int,
    problems: int, operation: str, when: str, max_new_tokens: int, temperature: float, template: str, seed: int,
) -> EffectSettings:  # fmt: skip
    from reasonlens.activations.layers import parse_layers
    from reasonlens.analysis.effect import EffectSettings
    from reasonlens.generation import Sampling
    from reasonlens.rundir import InputError

    try:
        doses = tuple(float(each) for each in strengths.split(","))
    except ValueError as error:
        raise InputError(f"strengths are numbers joined by commas, and {strengths!r} is not") from error
    return EffectSettings(
        behaviours=tuple(name.strip() for name in behaviours.split(",")) if behaviours else None,
        layers=None if layers == "all" else tuple(parse_layers(layers, model.n_layers)),
        strengths=doses,
        n_random=random,
        n_problems=problems,
        operation=operation,
        when=when,
        template=named_template(template),
        sampling=Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens),
        seed=seed,
    )


def asked_questions(questions: Path | None) -> Any:
    from reasonlens.traces.questions import read_questions

    return None if questions is None else read_questions(questions)
