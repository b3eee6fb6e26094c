"""Measure how large the coordinates of the residual stream are at each block: the unit of a step of the optimiser.

    size_L = mean over tokens of |h_L| / sqrt(d_model)

Adam moves each coordinate of a vector by about the learning rate, whatever the gradient's size, and blocks differ in
size by an order of magnitude. So a rate is counted in this unit, as a strength is in that of the mean norm.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...activations import collect
from ...models import LanguageModel
from ...traces import Span, Trace
from ...traces.encoding import Template


def coordinate_sizes(
    model: LanguageModel,
    prompts: Sequence[str],
    responses: Sequence[str],
    layers: Sequence[int],
    template: Template = "auto",
) -> dict[int, float]:
    """Measure the size of a coordinate over responses.

    Args:
        model: The model.
        prompts: What it was asked.
        responses: What it wrote.
        layers: 0-based blocks.
        template: Whether prompts go through the chat template.

    Returns:
        Block -> root of the mean square of a coordinate, by the mean norm of tokens; attention sinks are left out.
    """
    traces = [
        Trace(f"text-{number}", prompt, response, (Span(0, len(response), "text"),))
        for number, (prompt, response) in enumerate(zip(prompts, responses, strict=True))
        if response.strip()
    ]
    activations = collect(model, traces, layers=list(layers), template=template, progress=False)
    norms = activations.residual_norm.tolist()
    return {layer: norm / model.d_model**0.5 for layer, norm in zip(layers, norms, strict=True)}
