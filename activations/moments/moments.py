"""Hold moments of activations by label and layer: counts, means, variances and, on request, covariances."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...models.sites import BLOCK_OUTPUT, Site
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
from ..collection import Collection, ReadAndSite
from ..layers import written_layers
from ..read import Read
from .summary import Summary

FORMAT = "reasonlens.moments/3"
KINDS: dict[str, type] = {
    "labels": dict,
    "n_traces": dict,
    "layers": list,
    "reads": list,
    "sites": list,
    "model": dict,
    "n_skipped": dict,
    "progress": dict,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Moments:
    """The first two moments of activations by label and layer, of one read at one site; finite float64, on the CPU."""

    by_label: dict[str, Summary]
    stretches: Summary  # moments of the mean over the whole labelled stretch of each trace
    norm_sum: Float[Tensor, " n_layers"]  # sum over traces of the mean token norm in that stretch
    layers: tuple[int, ...]
    read: Read
    model: dict[str, Any]
    problem_hashes: Int[np.ndarray, " n_problems"]  # 8 bytes each, ascending: they count problems also after a merge
    site: Site = BLOCK_OUTPUT
    n_skipped: int = 0

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
            site=activations.site,
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

        Raises InputError if models, layers, reads or sites differ.
        """
        return self._merged(other, add)

    def absorb(self, other: Moments) -> Moments:
        """Merge the moments of other traces into these, in place; the numbers are those of `+`.

        Args:
            other: The moments of the other traces.

        Returns:
            The merged moments; these are not to be used any more.

        Raises:
            InputError: Models, layers, reads or sites differ.
        """
        return self._merged(other, Summary.absorb)

    def _merged(self, other: Moments, merge: Callable[[Summary, Summary], Summary]) -> Moments:
        for name in ("model", "layers", "read", "site"):
            if getattr(self, name) != getattr(other, name):
                raise InputError(
                    f"moments of another {name} cannot be added up: {getattr(self, name)} and {getattr(other, name)}"
                )
        by_label = dict(self.by_label)
        for label, summary in other.by_label.items():
            by_label[label] = merge(by_label[label], summary) if label in by_label else summary
        return Moments(
            by_label=by_label,
            stretches=merge(self.stretches, other.stretches),
            norm_sum=self.norm_sum + other.norm_sum,
            layers=self.layers,
            read=self.read,
            site=self.site,
            model=self.model,
            problem_hashes=np.union1d(self.problem_hashes, other.problem_hashes),
            n_skipped=self.n_skipped + other.n_skipped,
        )

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file, atomically.

        Args:
            path: The file to write.
        """
        write_moments(expanded(path), {(self.read, self.site): self})

    @classmethod
    def open(cls, path: str | Path, *, read: Read | str | None = None, site: Site | str | None = None) -> Moments:
        """Read what `save` wrote, or a directory of `collect_moments(out=...)`.

        Args:
            path: The file or the directory.
            read: Which read, of those that were collected; None where there is only one.
            site: Which site, likewise.

        Returns:
            The moments.

        Raises:
            InputError: `path` holds something else, another read or site, several and none is chosen, or a collection
                that is not finished.
        """
        return open_moments(path).at(read, site)

    def _repr_html_(self) -> str:
        """Show how many spans each label has."""
        from ...figures.notebook import object_html

        rows = {label: [self.by_label[label].count] for label in self.behaviours}
        counts = pd.DataFrame.from_dict(rows, orient="index", columns=["spans"])
        return object_html(repr(self), {"Labels": counts})

    @looked_at(".behaviours, .of_label(label), .overall_mean")
    def __repr__(self) -> str:
        counts = listed(f"{label} {self.by_label[label].count}" for label in self.behaviours)
        has_covariances = any(summary.comoment is not None for summary in self.by_label.values())
        site = "" if self.site == BLOCK_OUTPUT else f", site {self.site}"
        return (
            f"Moments({sum(summary.count for summary in self.by_label.values())} spans of {self.n_problems} problems: "
            f"{counts}; {self.model.get('name', 'a model')}, layers {written_layers(self.layers)}, width "
            f"{self.stretches.mean.shape[-1]}, read {self.read}{site}{', with covariances' if has_covariances else ''})"
        )


def open_moments(path: str | Path) -> Collection[Moments]:
    """Read the moments of every read and site from a file, or a directory of `collect_moments(out=...)`.

    Args:
        path: The file or the directory.

    Returns:
        The moments of each.

    Raises:
        InputError: `path` holds something else, or a collection that is not finished.
    """
    path = expanded(path)
    moments, progress = read_moments(file if (file := path / "moments.safetensors").is_file() else path)
    if not progress.get("complete", True):
        raise InputError(
            f"{path} is not whole yet: {progress['n_windows']} windows are done. Run the command that wrote it "
            "again; it goes on where it was."
        )
    return as_collection(moments, str(path))


def as_collection(moments: Mapping[ReadAndSite, Moments], where: str) -> Collection[Moments]:
    """Present the moments of all reads and sites as a collection; those without a span are left out."""
    reads, sites = (tuple(dict.fromkeys(members)) for members in zip(*moments, strict=True))
    return Collection({place: one for place, one in moments.items() if one.by_label}, reads, sites, where)


def write_moments(
    path: Path, moments: Mapping[ReadAndSite, Moments], progress: Mapping[str, Any] | None = None
) -> None:
    """Write moments of every combination of some reads and sites to one safetensors file, atomically.

    Args:
        path: The file.
        moments: Read and site -> moments, of the same traces, model and layers.
        progress: The state of a collection that is not finished.
    """
    tensors: dict[str, Tensor] = {}
    for (read, site), one in moments.items():
        tensors |= {
            f"{read}/{site}/stretches.mean": one.stretches.mean,
            f"{read}/{site}/stretches.m2": one.stretches.m2,
            f"{read}/{site}/norm_sum": one.norm_sum,
            f"{read}/problem_hashes": torch.from_numpy(one.problem_hashes),
        }
        for number, summary in enumerate(one.by_label.values()):
            name = f"{read}/{site}/{number}"
            tensors |= {f"{name}.mean": summary.mean, f"{name}.m2": summary.m2}
            if summary.comoment is not None:
                tensors[f"{name}.comoment"] = summary.comoment
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    first = next(iter(moments.values()))
    description = {
        "format": FORMAT,
        "labels": {
            str(read): {label: summary.count for label, summary in one.by_label.items()}
            for (read, _), one in moments.items()
        },
        "n_traces": {str(read): one.stretches.count for (read, _), one in moments.items()},
        "layers": first.layers,
        "reads": list(dict.fromkeys(str(read) for read, _ in moments)),
        "sites": list(dict.fromkeys(str(site) for _, site in moments)),
        "model": first.model,
        "n_skipped": {str(read): one.n_skipped for (read, _), one in moments.items()},
        "progress": dict(progress or {}),
    }
    description["digest"] = tensors_digest(description, tensors)
    with atomic_path(path) as temporary:  # one entry of metadata: safetensors writes several in any order
        save_file(tensors, temporary, metadata={"reasonlens": json.dumps(description)})


def read_moments(path: Path) -> tuple[dict[ReadAndSite, Moments], dict[str, Any]]:
    """Read the moments of every read and site from a file, finished or not, and its progress."""
    remedy = "give what `reasonlens collect --keep moments --out` wrote"
    about = read_description(path, "moments", (FORMAT,), remedy)
    with reading(path, "moments"):
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if about.pop("digest", None) != tensors_digest(about, tensors):
            raise InputError(f"{path} is altered: its digest is another; remove it and collect again")
        check_kinds(about, KINDS, path)
        if not about["reads"] or not about["sites"]:
            raise InputError(f"{path} is damaged: it names no read, or no site; remove it and collect again")
        for read in about["reads"]:
            check_kinds(about["labels"][read], dict.fromkeys(about["labels"][read], int), f"{path}, labels")
        moments = {
            (Read.parse(read), Site.parse(site)): _moments_of(about, tensors, read, site)
            for read in about["reads"]
            for site in about["sites"]
        }
        return moments, about["progress"]


def _moments_of(about: dict[str, Any], tensors: dict[str, Tensor], read: str, site: str) -> Moments:
    """Take the moments of one read and site out of a file."""
    by_label = {}
    for number, (label, count) in enumerate(about["labels"][read].items()):
        name = f"{read}/{site}/{number}"
        by_label[label] = Summary(
            count, tensors[f"{name}.mean"], tensors[f"{name}.m2"], tensors.get(f"{name}.comoment")
        )
    return Moments(
        by_label=by_label,
        stretches=Summary(
            about["n_traces"][read],
            tensors[f"{read}/{site}/stretches.mean"],
            tensors[f"{read}/{site}/stretches.m2"],
        ),
        norm_sum=tensors[f"{read}/{site}/norm_sum"],
        layers=tuple(about["layers"]),
        read=Read.parse(read),
        site=Site.parse(site),
        model=about["model"],
        problem_hashes=tensors[f"{read}/problem_hashes"].numpy(),
        n_skipped=about["n_skipped"][read],
    )


def hashes(problems: Iterable[str]) -> Int[np.ndarray, " n"]:
    """Hash each distinct problem to a number; ascending."""
    digests = {hashlib.sha256(problem.encode()).digest()[:8] for problem in problems}
    return np.array(sorted(int.from_bytes(part, "big", signed=True) for part in digests), dtype=np.int64)
