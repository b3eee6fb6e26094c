"""Save probes, the weights of every behaviour and layer, in one safetensors file, and score new activations with them.

A raw activation x at the output of block `layers[i]` has the log odds

    x . weight[i] + bias[i]

(or, for probes that give no log odds, such as ridge regression, a score above 0 where the behaviour is likelier). The
file holds, as float32, `<behaviour>.weight` (n_layers, d_model) and `<behaviour>.bias` (n_layers,). Its metadata holds
a JSON description under "reasonlens", with a digest of description and tensors ("sha256") that detects damage. Files of
formats 1 and 2, which name no site, are refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..activations import Read
from ..activations.layers import written_layers
from ..models import LanguageModel
from ..models.identity import same_weights, state
from ..models.sites import BLOCK_OUTPUT, Site, at_site
from ..rundir import ByBehaviour, InputError, atomic_path, did_you_mean, listed, looked_at, read_description, reading

FORMAT = "reasonlens.probes/3"


@dataclass(frozen=True, eq=False, kw_only=True)
class SavedProbes(ByBehaviour[Tensor]):
    """A linear probe for each behaviour and layer, and where they come from; parts that disagree raise InputError.

    It has the manners of a dictionary: `for behaviour in probes`, `len`, `in`, `keys()`; `items()` gives the weights.
    """

    weights: dict[str, Float[Tensor, "n_layers d_model"]]  # for raw activations
    biases: dict[str, Float[Tensor, " n_layers"]]
    layers: tuple[int, ...]  # 0-based blocks, ascending; row i applies at the site in block layers[i]
    read: str  # which tokens of a span they were trained on
    model: dict[str, Any]  # LanguageModel.identity()
    method: str
    best_layers: dict[str, int]
    prevalence: dict[str, float | None]  # share of the training spans that show the behaviour; None: not known
    scores: dict[str, dict[str, Any]]  # behaviour -> score -> one value a layer, or one for all layers
    seed: int
    are_log_odds: bool = True  # whether they give log odds; else scores without a unit
    site: str = str(BLOCK_OUTPUT)  # where in each block

    def __post_init__(self) -> None:
        for name, numbers in (("weights", self.weights), ("biases", self.biases)):
            floats = {behaviour: _as_float32(numbers[behaviour], f"{behaviour}.{name}") for behaviour in numbers}
            object.__setattr__(self, name, floats)
        object.__setattr__(self, "layers", tuple(self.layers))
        _check(self)

    def _by_behaviour(self) -> dict[str, Tensor]:
        return self.weights

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The behaviours that there are probes for."""
        return tuple(self.weights)

    @property
    def d_model(self) -> int:
        """The width of the activations."""
        return next(iter(self.weights.values())).shape[-1]

    def prior(self, behaviour: str) -> float | None:
        """Compute the log odds of a training span before anything is read, as a probe that learnt nothing gives them.

        Args:
            behaviour: One of `behaviours`.

        Returns:
            The log odds; None if they are not known, or these probes give no log odds.

        Raises:
            InputError: There is no probe for this behaviour.
        """
        share = self.prevalence[self._known(behaviour)]
        return None if share is None or not self.are_log_odds else math.log(share / (1 - share))

    def layer_of(self, behaviour: str, layer: int | None = None) -> int:
        """Choose the layer to read a behaviour at.

        Args:
            behaviour: One of `behaviours`.
            layer: A layer; None means the best one of the behaviour.

        Returns:
            The number of the block.

        Raises:
            InputError: There is no probe for this behaviour, or none at this layer.
        """
        layer = self.best_layers[self._known(behaviour)] if layer is None else layer
        if layer not in self.layers:
            raise InputError(
                f"no probe at layer {layer}; there are probes at {', '.join(map(str, self.layers))}."
                f"{did_you_mean(layer, self.layers)}"
            )
        return layer

    def score(
        self, activations: Float[Tensor, "*batch d_model"], behaviour: str, layer: int | None = None
    ) -> Float[Tensor, "*batch"]:
        """Score raw activations for one behaviour.

        Args:
            activations: Activations of `layer`, as the model computes them.
            behaviour: One of `behaviours`.
            layer: The layer of the probe; None means the behaviour's best one.

        Returns:
            Log odds (or scores, see `are_log_odds`), float32; higher where the behaviour is likelier.

        Raises:
            InputError: There is no probe for this behaviour or layer, or the activations have another width.
        """
        if activations.shape[-1] != self.d_model:
            raise InputError(
                f"activations have {activations.shape[-1]} dimensions, and these probes read {self.d_model}"
            )
        weight, bias = (part.to(activations.device) for part in self.at(behaviour, layer))
        return activations.float() @ weight + bias

    def at(self, behaviour: str, layer: int | None = None) -> tuple[Float[Tensor, " d_model"], Float[Tensor, ""]]:
        """Look up weight and bias of a probe.

        Args:
            behaviour: One of `behaviours`.
            layer: The layer of the probe; None means the behaviour's best one.

        Returns:
            Both, float32, on the CPU.

        Raises:
            InputError: There is no probe for this behaviour or layer.
        """
        slot = self.layers.index(self.layer_of(behaviour, layer))
        return self.weights[behaviour][slot], self.biases[behaviour][slot]

    def check(self, model: LanguageModel, force: bool = False) -> None:
        """Check that these probes belong to a model.

        Weights of the same name and revision in another precision count as the same.

        Args:
            model: The model to read.
            force: Accept other weights. Another width or number of blocks is refused in any case.

        Raises:
            InputError: The model has another width or depth, or other weights and `force` is off.
        """
        stated, actual = self.model, model.identity()
        trained_on = f"these probes were trained on {stated.get('name', 'a model without a name')}"
        if self.d_model != actual["d_model"]:
            raise InputError(
                f"{trained_on} with d_model {self.d_model}, and {model.name} has {actual['d_model']}: "
                "give the model that they were trained on"
            )
        if stated.get("n_layers", actual["n_layers"]) != actual["n_layers"] or self.layers[-1] >= actual["n_layers"]:
            raise InputError(
                f"{trained_on} with {stated.get('n_layers', self.layers[-1] + 1)} blocks, and {model.name} has "
                f"{actual['n_layers']}: give the model that they were trained on"
            )
        if not force and not same_weights(stated, model):
            raise InputError(
                f"{trained_on} ({state(stated)}), and {model.name} ({state(actual)}) has other weights: directions of "
                "one model seldom mean the same in another. Give the same model, or force it (--force, force=True)"
            )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically.

        Args:
            path: The file to write.
        """
        tensors = {f"{name}.weight": weight for name, weight in self.weights.items()}
        tensors |= {f"{name}.bias": bias for name, bias in self.biases.items()}
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        description = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        description = _without_nan({"format": FORMAT} | description)
        digest = _digest(json.dumps(description, allow_nan=False), tensors)
        with atomic_path(Path(path)) as temporary:
            # One entry only: safetensors writes several in any order, so the same probes could give different bytes.
            save_file(tensors, temporary, metadata={"reasonlens": json.dumps(description | {"sha256": digest})})

    @classmethod
    def open(cls, path: str | Path) -> SavedProbes:
        """Read a file that `save` wrote.

        Args:
            path: The file.

        Returns:
            The probes.

        Raises:
            InputError: The file holds something else, or is damaged.
        """
        remedy = "give the probes.safetensors that `reasonlens locate` or `probe` wrote"
        description = read_description(path, "probes", (FORMAT,), remedy)
        with reading(path, "probes"):
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
            if description.pop("sha256", None) != _digest(json.dumps(description), tensors):
                raise InputError(f"{path} is damaged: its content does not have the digest that was written with it")
            return _from_description(description, tensors)

    def _known(self, behaviour: str) -> str:
        if behaviour not in self.weights:
            raise InputError(
                f"no probe for {behaviour!r}; there are probes for {', '.join(self.weights)}."
                f"{did_you_mean(behaviour, self.weights)}"
            )
        return behaviour

    def _repr_html_(self) -> str:
        """Show the best layer of each behaviour, how frequent it was, and the AUROC there where it is known."""
        from ..figures.notebook import object_html

        rows = {}
        for name, layer in self.best_layers.items():
            aurocs = self.scores.get(name, {}).get("auroc")
            is_known = isinstance(aurocs, Sequence) and len(aurocs) == len(self.layers)
            auroc = dict(zip(self.layers, aurocs or (), strict=True))[layer] if is_known else math.nan
            rows[name] = [layer, auroc]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["best layer", "AUROC there"])
        return object_html(repr(self), {"Probes": table})

    @looked_at(".score(activations, behaviour), .best_layers, .scores")
    def __repr__(self) -> str:
        best = listed(f"{name} at {layer}" for name, layer in self.best_layers.items())
        return (
            f"SavedProbes({len(self)} behaviours, best layers: {best}; {self.model.get('name', 'a model')}, layers "
            f"{written_layers(self.layers)}{at_site(Site.parse(self.site))}, width {self.d_model}, "
            f"read {self.read}; {self.method})"
        )


def _from_description(description: dict[str, Any], tensors: dict[str, Tensor]) -> SavedProbes:
    behaviours = list(description["best_layers"])
    scores = {
        name: {score: _with_nan(values) for score, values in behaviour_scores.items()}
        for name, behaviour_scores in description["scores"].items()
    }
    return SavedProbes(
        weights={name: tensors[f"{name}.weight"] for name in behaviours},
        biases={name: tensors[f"{name}.bias"] for name in behaviours},
        layers=tuple(description["layers"]),
        best_layers=dict(description["best_layers"]),
        prevalence=dict(description["prevalence"]),
        scores=scores,
        are_log_odds=description.get("are_log_odds", True),
        **{name: description[name] for name in ("site", "read", "model", "method", "seed")},
    )


def _check(probes: SavedProbes) -> None:
    layers, names = probes.layers, list(probes.weights)
    if not layers or any(not _is_whole(layer) for layer in layers) or list(layers) != sorted(set(layers)):
        raise InputError(f"the layers {layers!r} of probes must be whole numbers from 0, ascending")
    if not names or any(not isinstance(name, str) for name in names):
        raise InputError("probes need at least one behaviour, named by a string")
    for part in ("biases", "best_layers", "prevalence", "scores"):
        by_behaviour = getattr(probes, part)
        if not isinstance(by_behaviour, dict) or set(by_behaviour) != set(names):
            raise InputError(f"the {part} of probes must be given for each of their behaviours: {listed(names, 10)}")
    d_model = probes.weights[names[0]].shape[-1] if probes.weights[names[0]].ndim else 0
    for name, weight in probes.weights.items():
        shapes = tuple(weight.shape), tuple(probes.biases[name].shape)
        if shapes != ((len(layers), d_model), (len(layers),)) or not d_model:
            raise InputError(
                f"the probes for {name!r} have weights of shape {shapes[0]} and biases of shape {shapes[1]}: for "
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
    Site.parse(probes.site)


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
    """Replace NaN, which JSON does not have, by None."""
    if isinstance(value, dict):
        return {key: _without_nan(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(values: Any) -> Any:
    return [math.nan if value is None else value for value in values] if isinstance(values, list) else values
