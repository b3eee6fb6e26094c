"""Saved probes: the weights of every behaviour and layer in one safetensors file, ready to score new activations.

A raw activation x at the output of block `layers[i]` has the log odds

    x . weight[i] + bias[i]

(of probes that give no log odds, such as ridge regression, another score, above 0 where the behaviour is likelier).
The file holds, as float32, `<behaviour>.weight` (n_layers, d_model) and `<behaviour>.bias` (n_layers,); its metadata a
JSON description under "reasonlens", with the digest of description and tensors ("sha256"), by which damage is found.
Files of format 1, which did not say how common a behaviour was, open too.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..activations import Read
from ..models import LanguageModel
from ..models.identity import same_weights, state
from ..rundir import InputError, atomic_path

FORMAT = "reasonlens.probes/2"
BEFORE = "reasonlens.probes/1"
SITE = "blocks.{layer}.hook_out"


@dataclass(frozen=True, eq=False, kw_only=True)
class SavedProbes:
    """A linear probe for each behaviour and layer, and where they came from. Raises InputError where parts disagree."""

    weights: dict[str, Float[Tensor, "n_layers d_model"]]  # for raw activations
    biases: dict[str, Float[Tensor, " n_layers"]]
    layers: tuple[int, ...]  # the 0-based blocks at whose output the rows apply, ascending
    read: str  # which tokens of a span they were trained on
    model: dict[str, Any]  # LanguageModel.identity()
    method: str
    best_layers: dict[str, int]
    prevalence: dict[str, float | None]  # share of the training spans that show the behaviour; None: not known
    scores: dict[str, dict[str, Any]]  # behaviour -> figure -> one a layer, or one for all
    seed: int
    are_log_odds: bool = True  # what they give; else a score without a unit

    def __post_init__(self) -> None:
        for name, numbers in (("weights", self.weights), ("biases", self.biases)):
            floats = {behaviour: _as_float32(numbers[behaviour], f"{behaviour}.{name}") for behaviour in numbers}
            object.__setattr__(self, name, floats)
        object.__setattr__(self, "layers", tuple(self.layers))
        _check(self)

    @property
    def behaviours(self) -> tuple[str, ...]:
        return tuple(self.weights)

    @property
    def d_model(self) -> int:
        return next(iter(self.weights.values())).shape[-1]

    def prior(self, behaviour: str) -> float | None:
        """The log odds of a training span, whatever is read: what a probe that learnt nothing says.

        None: not known, or these probes give no log odds.
        """
        share = self.prevalence[self._known(behaviour)]
        return None if share is None or not self.are_log_odds else math.log(share / (1 - share))

    def layer_of(self, behaviour: str, layer: int | None = None) -> int:
        """`layer`, or the best one of `behaviour`. Raises InputError for what these probes do not cover."""
        layer = self.best_layers[self._known(behaviour)] if layer is None else layer
        if layer not in self.layers:
            raise InputError(f"no probe at layer {layer}; there are probes at {', '.join(map(str, self.layers))}")
        return layer

    def score(
        self, acts: Float[Tensor, "*batch d_model"], behaviour: str, layer: int | None = None
    ) -> Float[Tensor, "*batch"]:
        """The log odds (or score) of `behaviour` for raw activations of `layer` (default: its best), float32.

        Raises InputError for an unknown behaviour, a layer without a probe, or activations of another width.
        """
        slot = self.layers.index(self.layer_of(behaviour, layer))
        if acts.shape[-1] != self.d_model:
            raise InputError(f"activations have {acts.shape[-1]} dimensions, and these probes read {self.d_model}")
        weight = self.weights[behaviour][slot].to(acts.device)
        return acts.float() @ weight + self.biases[behaviour][slot].to(acts.device)

    def check(self, model: LanguageModel, force: bool = False) -> None:
        """Raise InputError unless these probes can read `model`.

        Another width or number of blocks is always refused, other weights unless `force`. Weights of one name and
        revision in another precision are the same: their fingerprints cannot be compared.
        """
        theirs, ours = self.model, model.identity()
        trained_on = f"these probes were trained on {theirs.get('name', 'a model without a name')}"
        if self.d_model != ours["d_model"]:
            raise InputError(
                f"{trained_on} with d_model {self.d_model}, and {model.name} has {ours['d_model']}: "
                "give the model that they were trained on"
            )
        if theirs.get("n_layers", ours["n_layers"]) != ours["n_layers"] or self.layers[-1] >= ours["n_layers"]:
            raise InputError(
                f"{trained_on} with {theirs.get('n_layers', self.layers[-1] + 1)} blocks, and {model.name} has "
                f"{ours['n_layers']}: give the model that they were trained on"
            )
        if not force and not same_weights(theirs, model):
            raise InputError(
                f"{trained_on} ({state(theirs)}), and {model.name} ({state(ours)}) has other weights: directions of "
                "one model seldom mean the same in another. Give the same model, or force it (--force, force=True)"
            )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically."""
        tensors = {f"{name}.weight": weight for name, weight in self.weights.items()}
        tensors |= {f"{name}.bias": bias for name, bias in self.biases.items()}
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        about = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        about = _without_nan({"format": FORMAT, "site": SITE} | about)
        digest = _digest(json.dumps(about, allow_nan=False), tensors)
        with atomic_path(Path(path)) as temporary:
            # One entry only: safetensors writes several in any order, and the same probes would be other bytes.
            save_file(tensors, temporary, metadata={"reasonlens": json.dumps(about | {"sha256": digest})})

    @classmethod
    def open(cls, path: str | Path) -> SavedProbes:
        """Read back what `save` wrote. Raises InputError when the file is something else, or damaged."""
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {}).get("reasonlens", "{}"))
                kind = about.get("format") if isinstance(about, dict) else None
                if kind not in (FORMAT, BEFORE):
                    raise InputError(f"{path} holds no probes of reasonlens (format {FORMAT})")
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
        except InputError:
            raise
        except (OSError, SafetensorError, ValueError, RecursionError, RuntimeError, AttributeError) as error:
            raise InputError(f"cannot read probes from {path}: {error}") from error
        if kind == FORMAT and about.pop("sha256", None) != _digest(json.dumps(about), tensors):
            raise InputError(f"{path} is damaged: its content does not have the digest that was written with it")
        try:
            return _described(about if kind == FORMAT else _of_format_1(about), tensors)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path} is damaged, or was not written by reasonlens: {why}") from error

    def _known(self, behaviour: str) -> str:
        if behaviour not in self.weights:
            raise InputError(f"no probe for {behaviour!r}; there are probes for {', '.join(self.weights)}")
        return behaviour


def _described(about: dict[str, Any], tensors: dict[str, Tensor]) -> SavedProbes:
    behaviours = list(about["best_layers"])
    scores = {
        name: {figure: _with_nan(values) for figure, values in figures.items()}
        for name, figures in about["scores"].items()
    }
    return SavedProbes(
        weights={name: tensors[f"{name}.weight"] for name in behaviours},
        biases={name: tensors[f"{name}.bias"] for name in behaviours},
        layers=tuple(about["layers"]),
        best_layers=dict(about["best_layers"]),
        prevalence=dict(about["prevalence"]),
        scores=scores,
        are_log_odds=about.get("are_log_odds", True),
        **{name: about[name] for name in ("read", "model", "method", "seed")},
    )


def _of_format_1(about: dict[str, Any]) -> dict[str, Any]:
    best = {
        name: about["layers"][int(np.nanargmax(np.array(figures["auroc"], dtype=np.float64)))]
        for name, figures in about["scores"].items()
    }
    return about | {"best_layers": best, "prevalence": dict.fromkeys(best)}


def _check(probes: SavedProbes) -> None:
    layers, names = probes.layers, list(probes.weights)
    if not layers or any(not _is_whole(layer) for layer in layers) or list(layers) != sorted(set(layers)):
        raise InputError(f"the layers {layers!r} of probes must be whole numbers from 0, ascending")
    if not names or any(not isinstance(name, str) for name in names):
        raise InputError("probes need at least one behaviour, named by a string")
    for part in ("biases", "best_layers", "prevalence", "scores"):
        if not isinstance(held := getattr(probes, part), dict) or set(held) != set(names):
            raise InputError(f"the {part} of probes must be given for each of their behaviours: {', '.join(names)}")
    d_model = probes.weights[names[0]].shape[-1] if probes.weights[names[0]].ndim else 0
    for name, weight in probes.weights.items():
        found = tuple(weight.shape), tuple(probes.biases[name].shape)
        if found != ((len(layers), d_model), (len(layers),)) or not d_model:
            raise InputError(
                f"the probes for {name!r} have weights of shape {found[0]} and biases of shape {found[1]}: for "
                f"{len(layers)} layers ({len(layers)}, d_model) and ({len(layers)},) are needed, one d_model for all"
            )
        if probes.best_layers[name] not in layers or not _is_whole(probes.best_layers[name]):
            raise InputError(f"the best layer of {name!r}, {probes.best_layers[name]!r}, is none of {layers}")
        share = probes.prevalence[name]
        if share is not None and not (isinstance(share, float) and 0 < share < 1):
            raise InputError(f"the prevalence of {name!r} must lie between 0 and 1, and is {share!r}")
        if not isinstance(probes.scores[name], dict):
            raise InputError(f"the scores of {name!r} must be a dictionary, from a figure to its values")
    if not isinstance(probes.read, str) or not isinstance(probes.method, str) or not isinstance(probes.model, dict):
        raise InputError("the read and the method of probes are strings, their model a dictionary")
    if not isinstance(probes.seed, int):
        raise InputError(f"the seed of probes must be a whole number, and is {probes.seed!r}")
    if not isinstance(probes.are_log_odds, bool):
        raise InputError(f"whether probes give log odds is True or False, and not {probes.are_log_odds!r}")
    Read.parse(probes.read)


def _is_whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def _as_float32(numbers: Tensor, name: str) -> Tensor:
    if not isinstance(numbers, Tensor) or not numbers.is_floating_point():
        kind = str(numbers.dtype) if isinstance(numbers, Tensor) else type(numbers).__name__
        raise InputError(f"{name} must be a tensor of floating-point numbers, and is {kind}")
    floats = numbers.detach().to("cpu", torch.float32)
    if not floats.isfinite().all():
        raise InputError(f"{name} holds numbers that are not finite (NaN or infinity)")
    return floats


def _digest(description: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(description.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _without_nan(value: Any) -> Any:
    """The same with None in place of NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(values: Any) -> Any:
    return [math.nan if each is None else each for each in values] if isinstance(values, list) else values
