"""What steering at layer L must do in any tool, and what our side of the comparison is.

1. Before block L nothing changes, bit for bit.
2. What block L gives is what it gave, plus the vector, at every token, bit for bit.
3. What block L + 1 gives has changed as a consequence, which is not the vector.
4. The logits are those of an ordinary forward hook that adds the vector to the output of block L, and are far from
   those of the same hook one block earlier or later: a file that is one layer off would be seen.

The reference is written out here with hooks of torch on the Hugging Face model, and uses nothing of `vectors/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reasonlens.models import LanguageModel


@dataclass(frozen=True)
class Run:
    """One forward pass of one row."""

    acts: Tensor  # (n_layers, tokens, d_model): what each block gives
    logits: Tensor  # (tokens, vocabulary)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], name: str) -> Run:
        return cls(torch.from_numpy(arrays[f"{name}/acts"]), torch.from_numpy(arrays[f"{name}/logits"]))


@contextmanager
def adding(model: LanguageModel, vectors: Mapping[int, Tensor]) -> Iterator[None]:
    """Vectors added to the outputs of blocks, by hooks of torch and nothing else."""

    def adder(vector: Tensor) -> Any:
        def hook(block: torch.nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            return (output[0] + vector, *output[1:]) if isinstance(output, tuple) else output + vector

        return hook

    handles = [model.blocks[layer].register_forward_hook(adder(vector)) for layer, vector in vectors.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run(model: LanguageModel, ids: list[list[int]]) -> Run:
    """A forward pass of the model as it stands, with the hooks that are on it."""
    kept: list[Tensor] = []

    def keep(block: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        kept.append((output[0] if isinstance(output, tuple) else output)[0].clone())

    handles = [block.register_forward_hook(keep) for block in model.blocks]
    try:
        with torch.no_grad():
            logits = model.model(input_ids=torch.tensor(ids)).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return Run(torch.stack(kept), logits)


def reference(model: LanguageModel, ids: list[list[int]], vectors: Mapping[int, Tensor]) -> Run:
    with adding(model, vectors):
        return run(model, ids)


def assert_added_at_these_blocks_alone(plain: Run, steered: Run, vectors: Mapping[int, Tensor]) -> None:
    """1 to 3, for one layer or several: between two steered blocks the change is only what follows from the first."""
    first = min(vectors)
    before = (steered.acts[:first] - plain.acts[:first]).abs()
    assert torch.equal(steered.acts[:first], plain.acts[:first]), (
        f"blocks before {first} give something else; the largest change is {before.max():.3g}, first at block "
        f"{int((before.amax((1, 2)) > 0).nonzero()[0])}"
    )
    expected = plain.acts[first] + vectors[first]
    assert torch.equal(steered.acts[first], expected), (
        f"block {first} does not give what it gave plus the vector: the difference from that is "
        f"{(steered.acts[first] - expected).abs().max():.3g}"
    )
    if first + 1 < len(plain.acts) and first + 1 not in vectors:
        after = steered.acts[first + 1] - plain.acts[first + 1]
        assert not torch.equal(after, torch.zeros_like(after)), f"block {first + 1} does not see the change"
        assert (after - vectors[first]).norm() > 1e-4 * after.norm(), f"block {first + 1} has the bare vector"


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Relative: |theirs - ours| / |ours|."""
    return float((theirs - ours).norm() / ours.norm())


def farthest_token(ours: Tensor, theirs: Tensor) -> float:
    """The largest relative distance of any token at any block."""
    return float(((theirs - ours).norm(dim=-1) / ours.norm(dim=-1)).max())


def assert_agrees(steered: Run, ours: Run, others: Mapping[str, Run], tolerance: float) -> dict[str, float]:
    """4. `others`: steering at other layers, from which it must be at least ten times as far as the tolerance allows.

    The outputs of all blocks must be ours as well, which says of block L + 1 what follows from the change at L.
    """
    found = {"ours": distance(ours.logits, steered.logits)}
    found |= {name: distance(other.logits, steered.logits) for name, other in others.items()}
    assert found["ours"] < tolerance, f"logits differ from ours: {found}"
    assert farthest_token(ours.acts, steered.acts) < 10 * tolerance, (
        "what some block gives is not what it gives with us"
    )
    for name in others:
        assert found[name] > 10 * tolerance, f"steering at {name} gives the same logits: {found}"
    return found
