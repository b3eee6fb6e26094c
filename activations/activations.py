"""Activations: one vector for each labelled span and layer, with where each came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..models import InputError
from ..models.atomic import atomic_path
from ..traces import BEHAVIOURS
from .read import Read

FORMAT = "reasonlens.activations/1"


@dataclass(frozen=True, slots=True)
class Example:
    """The span that an activation was read from."""

    trace: str
    problem: str
    label: str
    start: int  # characters of the trace's text
    end: int
    text: str
    marked: bool | None  # holds a tell-tale word of its behaviour


@dataclass(frozen=True, eq=False, kw_only=True)
class Activations:
    """Residual-stream activations of labelled spans, float32, in the units of the residual stream."""

    acts: Float[Tensor, "n_examples n_layers d_model"]
    examples: tuple[Example, ...]
    layers: tuple[int, ...]  # 0-based blocks whose output was read, ascending
    read: Read
    model: dict[str, Any]  # LanguageModel.identity()
    overall_mean: Float[Tensor, "n_layers d_model"]  # mean over traces of the mean over the whole annotated stretch
    residual_norm: Float[Tensor, " n_layers"]  # mean over traces of the mean token norm in that stretch
    n_skipped: int = 0  # spans without a readable token (at a sink, in markup, truncated away, or too short)

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each example."""
        return tuple(example.label for example in self.examples)

    @property
    def problems(self) -> tuple[str, ...]:
        """The group of each example, which no train/test split may cut."""
        return tuple(example.problem for example in self.examples)

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The labels that occur: those of the usual eight behaviours in their order, then others by name."""
        present = set(self.labels)
        return (*(name for name in BEHAVIOURS if name in present), *sorted(present - set(BEHAVIOURS)))

    def shows(self, behaviour: str) -> Bool[np.ndarray, " n_examples"]:
        """Which examples carry `behaviour` as their label. Raises InputError when none does."""
        found = np.array([label == behaviour for label in self.labels])
        if not found.any():
            raise InputError(
                f"no example shows {behaviour!r}; the labels here are {', '.join(self.behaviours)}. Check the spelling."
            )
        return found

    def layer(self, layer: int) -> Float[Tensor, "n_examples d_model"]:
        """All examples at one layer (the block's own number, not its place among those collected)."""
        if layer not in self.layers:
            raise InputError(f"layer {layer} was not collected; these were: {', '.join(map(str, self.layers))}")
        return self.acts[:, self.layers.index(layer)]

    def where(self, behaviour: str) -> Activations:
        """The examples of one behaviour only."""
        kept = np.flatnonzero(self.shows(behaviour))
        return replace(self, acts=self.acts[kept], examples=tuple(self.examples[index] for index in kept))

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file, atomically."""
        description = {
            "format": FORMAT,
            "examples": [asdict(example) for example in self.examples],
            "layers": self.layers,
            "read": str(self.read),
            "model": self.model,
            "n_skipped": self.n_skipped,
        }
        tensors = {"acts": self.acts, "overall_mean": self.overall_mean, "residual_norm": self.residual_norm}
        with atomic_path(Path(path)) as temporary:
            save_file(
                {name: tensor.contiguous() for name, tensor in tensors.items()},
                temporary,
                metadata={"reasonlens": json.dumps(description)},
            )

    @classmethod
    def open(cls, path: str | Path) -> Activations:
        """Read back what `save` wrote. Raises InputError when the file is something else."""
        try:
            with safe_open(path, framework="pt") as file:
                description = json.loads((file.metadata() or {}).get("reasonlens", "{}"))
                if description.get("format") != FORMAT:
                    raise InputError(f"{path} holds no activations of reasonlens (format {FORMAT})")
                tensors = {name: file.get_tensor(name) for name in ("acts", "overall_mean", "residual_norm")}
        except (OSError, SafetensorError) as error:
            raise InputError(f"cannot read activations from {path}: {error}") from error
        return cls(
            **tensors,
            examples=tuple(Example(**example) for example in description["examples"]),
            layers=tuple(description["layers"]),
            read=Read.parse(description["read"]),
            model=description["model"],
            n_skipped=description["n_skipped"],
        )


def parse_layers(text: str, n_layers: int) -> Sequence[int]:
    """Layers named on a command line: `all`, numbers, and ranges begin:end[:step], joined by commas (`0,4,10:20:2`)."""
    if text == "all":
        return range(n_layers)
    chosen: list[int] = []
    try:
        for part in text.split(","):
            numbers = [int(number) if number else None for number in part.split(":")]
            if len(numbers) == 1 and numbers[0] is not None:
                chosen.append(numbers[0])
            elif len(numbers) in (2, 3):
                chosen += range(n_layers)[slice(*numbers)]
            else:
                raise ValueError(part)
    except ValueError as error:
        raise InputError(
            f"cannot read layers {text!r}: write all, or numbers and ranges such as 0,4,10:20:2"
        ) from error
    if not chosen:
        raise InputError(f"layers {text!r} name none of the {n_layers} blocks (0..{n_layers - 1})")
    return chosen
