"""Hold moments of activations by label and layer: counts, means, variances and, on request, covariances."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...rundir import (
    InputError,
    atomic_path,
    check_kinds,
    did_you_mean,
    expanded,
    listed,
    looked_at,
    read_description,
    reading,
    tensors_digest,
)
from ...traces import BEHAVIOURS
from ..activations import Activations
from ..layers import written_layers
from ..read import Read
from .summary import Summary

FORMAT = "reasonlens.moments/2"
KINDS: dict[str, type] = {
    "labels": dict,
    "n_traces": int,
    "layers": list,
    "read": str,
    "model": dict,
    "n_skipped": int,
    "progress": dict,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Moments:
    """The first two moments of activations by label and layer; finite float64, on the CPU."""

    by_label: dict[str, Summary]
    stretches: Summary  # moments of the mean over the whole labelled stretch of each trace
    norm_sum: Float[Tensor, " n_layers"]  # sum over traces of the mean token norm in that stretch
    layers: tuple[int, ...]
    read: Read
    model: dict[str, Any]
    problem_hashes: Int[np.ndarray, " n_problems"]  # 8 bytes each, ascending: they count problems also after a merge
    n_skipped: int = 0
    progress: dict[str, Any] = field(default_factory=dict)  # state of a collection that is not finished

    def __post_init__(self) -> None:
        for label, summary in self.by_label.items():
            for numbers in (summary.mean, summary.m2):
                self._check_finite(numbers, f"the moments of {label!r}")
        self._check_finite(self.stretches.mean, "the means over whole labelled stretches")
        self._check_finite(self.norm_sum[:, None], "the residual norms")

    def _check_finite(self, numbers: Float[Tensor, "n_layers width"], what: str) -> None:
        is_bad = ~numbers.isfinite().all(dim=1)
        if is_bad.any():
            layer = self.layers[int(is_bad.nonzero()[0])]
            raise InputError(f"{what} at layer {layer} are not finite (NaN or infinity); leave that layer out")

    @classmethod
    def of(cls, activations: Activations, *, covariance: bool = False) -> Moments:
        """Compute the moments of activations, layer by layer.

        Args:
            activations: In memory or on disk.
            covariance: Also compute covariance matrices.

        Returns:
            The moments; the variance of the stretches is NaN, since activations do not hold it.
        """
        by_label = {}
        for label in activations.behaviours:
            shows_behaviour = torch.from_numpy(activations.shows(label))
            layers = [
                Summary.of(activations.layer(layer)[shows_behaviour][None], covariance) for layer in activations.layers
            ]
            comoments = [summary.comoment for summary in layers if summary.comoment is not None]
            by_label[label] = Summary(
                layers[0].count,
                torch.cat([summary.mean for summary in layers]),
                torch.cat([summary.m2 for summary in layers]),
                torch.cat(comoments) if covariance else None,
            )
        n_traces = len({example.trace for example in activations.examples})
        overall = activations.overall_mean.double()
        return cls(
            by_label=by_label,
            stretches=Summary(n_traces, overall, torch.full_like(overall, torch.nan)),
            norm_sum=activations.residual_norm.double() * n_traces,
            layers=activations.layers,
            read=activations.read,
            model=activations.model,
            problem_hashes=hashes(activations.problems),
            n_skipped=activations.n_skipped,
        )

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The labels that occur: those of the usual eight behaviours in their order, then others by name."""
        return (*(name for name in BEHAVIOURS if name in self.by_label), *sorted(set(self.by_label) - set(BEHAVIOURS)))

    @property
    def n_problems(self) -> int:
        """The number of distinct problems."""
        return len(self.problem_hashes)

    @property
    def overall_mean(self) -> Float[Tensor, "n_layers d_model"]:
        """The mean over traces of the mean over the labelled stretch; float32."""
        return self.stretches.mean.float()

    @property
    def residual_norm(self) -> Float[Tensor, " n_layers"]:
        """The mean over traces of the mean token norm in that stretch; float32."""
        return (self.norm_sum / self.stretches.count).float()

    def of_label(self, label: str) -> Summary:
        """Return the moments of the spans of one label.

        Args:
            label: The label.

        Returns:
            Count, mean and second moments at each layer.

        Raises:
            InputError: No span has this label.
        """
        if label not in self.by_label:
            raise InputError(
                f"no span shows {label!r:.60}; the labels here are {listed(self.behaviours, 10)}."
                f"{did_you_mean(label, self.behaviours)}"
            )
        return self.by_label[label]

    def of_others(self, label: str) -> Summary:
        """Add up the moments of the spans of all other labels.

        Args:
            label: The label to leave out.

        Returns:
            Count, mean and second moments at each layer.

        Raises:
            InputError: There is no other label.
        """
        others = [self.by_label[name] for name in self.behaviours if name != label]
        if not others:
            raise InputError(f"only {label!r} is labelled: there is nothing to hold it against")
        return reduce(add, others)

    def __add__(self, other: Moments) -> Moments:
        """Merge the moments of two sets of traces; a problem that is in both counts once.

        Raises InputError if models, layers or reads differ.
        """
        for name in ("model", "layers", "read"):
            if getattr(self, name) != getattr(other, name):
                raise InputError(
                    f"moments of another {name} cannot be added up: {getattr(self, name)} and {getattr(other, name)}"
                )
        by_label = dict(self.by_label)
        for label, summary in other.by_label.items():
            by_label[label] = by_label[label] + summary if label in by_label else summary
        return Moments(
            by_label=by_label,
            stretches=self.stretches + other.stretches,
            norm_sum=self.norm_sum + other.norm_sum,
            layers=self.layers,
            read=self.read,
            model=self.model,
            problem_hashes=np.union1d(self.problem_hashes, other.problem_hashes),
            n_skipped=self.n_skipped + other.n_skipped,
        )

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file, atomically.

        Args:
            path: The file to write.
        """
        tensors = {
            "stretches.mean": self.stretches.mean,
            "stretches.m2": self.stretches.m2,
            "norm_sum": self.norm_sum,
            "problem_hashes": torch.from_numpy(self.problem_hashes),
        }
        for number, label in enumerate(self.by_label):
            summary = self.by_label[label]
            tensors |= {f"{number}.mean": summary.mean, f"{number}.m2": summary.m2}
            if summary.comoment is not None:
                tensors[f"{number}.comoment"] = summary.comoment
        description = {
            "format": FORMAT,
            "labels": {label: summary.count for label, summary in self.by_label.items()},
            "n_traces": self.stretches.count,
            "layers": self.layers,
            "read": str(self.read),
            "model": self.model,
            "n_skipped": self.n_skipped,
            "progress": self.progress,
        }
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        description["digest"] = tensors_digest(description, tensors)
        with atomic_path(path) as temporary:  # one entry of metadata: safetensors writes several in any order
            save_file(tensors, temporary, metadata={"reasonlens": json.dumps(description)})

    @classmethod
    def open(cls, path: str | Path) -> Moments:
        """Read what `save` wrote, or a directory of `collect_moments(out=...)`.

        Args:
            path: The file or the directory.

        Returns:
            The moments.

        Raises:
            InputError: `path` holds something else, or a collection that is not finished.
        """
        path = expanded(path)
        moments = read_moments(file if (file := path / "moments.safetensors").is_file() else path)
        if moments.progress.get("complete", True):
            return moments
        raise InputError(
            f"{path} is not whole yet: {moments.progress['n_windows']} windows are done. Run the command that wrote it "
            "again; it goes on where it was."
        )

    @looked_at(".behaviours, .of_label(label), .overall_mean")
    def __repr__(self) -> str:
        counts = listed(f"{label} {self.by_label[label].count}" for label in self.behaviours)
        has_covariances = any(summary.comoment is not None for summary in self.by_label.values())
        return (
            f"Moments({sum(summary.count for summary in self.by_label.values())} spans of {self.n_problems} problems: "
            f"{counts}; {self.model.get('name', 'a model')}, layers {written_layers(self.layers)}, width "
            f"{self.stretches.mean.shape[-1]}, read {self.read}{', with covariances' if has_covariances else ''})"
        )


def read_moments(path: Path) -> Moments:
    """Read moments from a file, finished or not."""
    remedy = "give what `reasonlens collect --keep moments --out` wrote"
    about = read_description(path, "moments", (FORMAT,), remedy)
    with reading(path, "moments"):
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if about.pop("digest", None) != tensors_digest(about, tensors):
            raise InputError(f"{path} is altered: its digest is another; remove it and collect again")
        check_kinds(about, KINDS, path)
        check_kinds(about["labels"], dict.fromkeys(about["labels"], int), f"{path}, labels")
        return Moments(
            by_label={
                label: Summary(
                    count, tensors[f"{number}.mean"], tensors[f"{number}.m2"], tensors.get(f"{number}.comoment")
                )
                for number, (label, count) in enumerate(about["labels"].items())
            },
            stretches=Summary(about["n_traces"], tensors["stretches.mean"], tensors["stretches.m2"]),
            norm_sum=tensors["norm_sum"],
            layers=tuple(about["layers"]),
            read=Read.parse(about["read"]),
            model=about["model"],
            problem_hashes=tensors["problem_hashes"].numpy(),
            n_skipped=about["n_skipped"],
            progress=about["progress"],
        )


def hashes(problems: Iterable[str]) -> Int[np.ndarray, " n"]:
    """Hash each distinct problem to a number; ascending."""
    digests = {hashlib.sha256(problem.encode()).digest()[:8] for problem in problems}
    return np.array(sorted(int.from_bytes(part, "big", signed=True) for part in digests), dtype=np.int64)
