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

# A token of the step loop; what is once a batch is divided by the four tokens of a test.
WRITTEN = {
    "generation.loop:_Run.batch": 1,
    "generation.cached_model:CachedModel.step": 0.5,  # whether the prompts are padded
}
IN_HYBRIDS = WRITTEN | {
    "generation.cached_model:CachedModel.step": 1,  # of both models
    "generation.above:UpperBlocks.logits_of_whole": 0.5,  # the first token's, of the whole prompt
    "pairs.hybrid._decode:_Arm.intervene": 1,
    "pairs.hybrid.record:Log.records": 0.5,
}

CEILINGS: dict[str, float | dict[str, float]] = {
    # Steps of a search, whose waits once are among them. Over two: of which the second is the CPU, where what goes from
    # one to the other counts.
    "optimised directions": 15.5,
    "optimised directions over two": 133,
    "optimised directions not cached": 23,
    "optimised directions not cached over two": 113.5,
    "coefficient network": 2.7,
    "coefficient network over two": 12,
    "collect": {
        "activations.engine.pooling:pass_over": 1,
        "activations.embeddings:mean_embeddings": 0.7,
    },
    "collect_moments": {
        "activations.engine.pooling:pass_over": 1,  # transformers looks whether a mask, or packed texts, need care
        "activations.moments.label_sums:LabelSums.on_host.<locals>.<listcomp>": 3,  # covariances, once a window
    },
    "score": {
        "activations.engine.pooling:pass_over": 1,
        "analysis._score:_token_scores": 2,  # the scores of a batch; once a run the weights and biases
    },
    "sweep logistic": 46,
    "sweep ridge": 55,
    "directions": {},
    "steer add": 0.25,
    "steer add-preserving-norm": 0.25,
    "steer project-out": 0.25,
    "steer clamp": 0.25,
    "steer of the response": 0.75,
    "steer some rows": 1.5,
    "steer two layers": 0.25,
    "steer a controller of rows": 0.75,
    "steer a controller of strengths": 0.25,
    "steer sentence ends": 0.75,
    "steer a static cache": 1,
    "write": WRITTEN,
    "sample": WRITTEN,
    "drafts": {
        "generation.drafts:Drafts.draft": 1,
        "generation.drafts:_TextsCache._run": 1,  # transformers looks whether rows are padded
    },
    "hybrid steer": IN_HYBRIDS,
    "hybrid take over": IN_HYBRIDS,
    "hybrid a network's strength": IN_HYBRIDS | {"pairs.hybrid.coefficient:Coefficients.strength": 1.25},
    "stability": WRITTEN,
    "dose curves": 4.8,
}
