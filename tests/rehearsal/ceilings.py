"""How often the host may wait for the device, by path and by the function of reasonlens that waits.

A path's waits are divided by its passes, tokens, steps or layers (`watch` in conftest.py says which). A function that
is not listed may not wait at all; where a path has one number, it is that of all functions together. To lower a number
is progress; whoever raises one says why.
"""

from __future__ import annotations

# Counted by the stand-in, but no ceiling: behind the last batch of every run there is nothing.
IDLE = "event with nothing queued behind it"

# Modules whose waits are once a run and have no ceiling: they read weights, or try a model out.
ONCE = (
    "?",
    "models.fingerprint",
    "models.content",
    "models.causality",
    "models.addition",
    "organisms.rollouts",
    "activations.engine.budget",
)

CEILINGS: dict[str, float | dict[str, float]] = {
    "optimised directions cached": 260.5,
    "optimised directions not cached": 209.5,
    "collect": {
        "activations.engine.pooling:pass_over": 1,
        "activations.embeddings:mean_embeddings": 0.7,
    },
    "coefficient network": 473,  # over the stand-in and the CPU, where what goes from one to the other counts
    "collect_moments": {
        "activations.engine.pooling:pass_over": 1,  # transformers looks whether a mask, or packed texts, need care
        "activations.moments.label_sums:LabelSums.on_host.<locals>.<listcomp>": 3,  # covariances, once a window
    },
    "score": {
        "activations.engine.pooling:pass_over": 1,
        "analysis._score:_token_scores": 2,  # the scores of a batch; once a run the weights and biases
    },
    "sweep logistic": 1020,
    "sweep ridge": 434,
    "directions": {},
    "steer add": 0.75,
    "steer add-preserving-norm": 1.75,
    "steer project-out": 1.75,
    "steer clamp": 1.75,
    "steer of the response": 1.25,
    "steer some rows": 3,
    "steer two layers": 0.75,
    "steer a controller of rows": 1.25,
    "steer a controller of strengths": 1.75,
    "steer sentence ends": 1.5,
    "steer a static cache": 1.5,
    "write": 5,
    "sample": 7,
    "hybrid steer": 11.75,
    "hybrid take over": 8.5,
    "hybrid a network's strength": 10.75,
    "stability": 5,
    "dose curves": 8.35,
}
