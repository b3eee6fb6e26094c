"""Hold directions, one vector for each behaviour and layer, and store them in one safetensors file.

Each behaviour is a plain tensor (n_layers, d_model) under its own name, so that any tool can read it; row i belongs to
block `layers[i]`. The file's metadata holds, under "reasonlens", a JSON description of where they come from, and
the site in the block.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..activations.layers import choose_layers, layer_numbers, written_layers
from ..models import load
from ..models._load import ModelLike
from ..models.sites import BLOCK_OUTPUT, Site, at_site
from ..probes.controls.injection_rate import InjectionRate
from ..rundir import ByBehaviour, InputError, atomic_path, did_you_mean, listed, looked_at, read_description, reading
from .choice import Choice, choices_of
from .description import check_description
from .direction import Direction
from .soundness import check_all_finite, check_names, check_shapes

FORMAT = "reasonlens.directions/2"


@dataclass(frozen=True, eq=False, kw_only=True)
class Directions(ByBehaviour[Direction]):
    """Vectors of several behaviours at the same layers; `directions["backtracking"]` returns one `Direction`.

    It has the manners of a dictionary: `for behaviour in directions`, `len`, `in`, `keys()`, `items()`.
    Vectors and norms are finite (a norm that is not known is NaN), and no name is `__metadata__`: others raise
    InputError.
    """

    vectors: dict[str, Float[Tensor, "n_layers d_model"]]  # in the units of the residual stream
    layers: tuple[int, ...]  # 0-based blocks; row i applies at the site in block layers[i]
    method: str  # how the vectors were extracted, in words
    model: dict[str, Any]  # LanguageModel.identity()
    read: str
    residual_norm: tuple[float, ...]  # mean token norm at each layer: the unit of a strength; NaN: unknown
    n_examples: dict[str, int]  # behaviour -> number of spans that show it
    n_problems: int  # of all spans, also of other labels
    site: Site = BLOCK_OUTPUT  # where in each block
    operation: str = "add"  # the operation that brings a behaviour about
    scores: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # behaviour -> score -> one value a layer
    data_digest: str = ""  # of the traces
    split: dict[str, list[str]] = field(default_factory=dict)  # of optimised vectors: train, stop, held_out
    n_problems_showing: dict[str, int] = field(default_factory=dict)  # behaviour -> problems with it, if known
    choices: dict[str, Choice] = field(default_factory=dict)  # behaviour -> where and how strongly to steer, if sought
    injection: tuple[InjectionRate, ...] = ()  # how often words alone make directions fire; empty if it was not tried

    def __post_init__(self) -> None:
        check_names(self.vectors)
        object.__setattr__(self, "layers", layer_numbers(self.layers))
        check_all_finite(self.vectors, self.layers, self.residual_norm)

    def __getitem__(self, behaviour: str) -> Direction:
        """Return one behaviour's direction at all layers.

        Args:
            behaviour: One of `behaviours`.

        Returns:
            The direction, with the layers, norms and model of all.

        Raises:
            InputError: There is no direction for this behaviour.
        """
        if not isinstance(behaviour, str) or behaviour not in self.vectors:
            raise InputError(
                f"no direction for {behaviour!r:.60}; there are directions for {listed(self.vectors, 10)}."
                f"{did_you_mean(behaviour, self.vectors)}"
            )
        return Direction(
            behaviour=behaviour,
            vectors=self.vectors[behaviour],
            layers=self.layers,
            residual_norm=self.residual_norm,
            model=self.model,
            operation=self.operation,
            site=self.site,
        )

    def _by_behaviour(self) -> dict[str, Direction]:
        return {behaviour: self[behaviour] for behaviour in self.vectors}

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The names of the behaviours, in the order of `vectors`."""
        return tuple(self.vectors)

    @property
    def d_model(self) -> int:
        """The width of the residual stream."""
        return next(iter(self.vectors.values())).shape[1]

    def choose_layers(self, layers: str | Sequence[int] | int | None, n_layers: int | None = None) -> tuple[int, ...]:
        """Choose layers of these directions.

        Args:
            layers: Layers, negative ones counted from the end; a text such as "8:12" or "all", of whose ranges only
                those layers are chosen at which there are directions; None: all of them.
            n_layers: Number of blocks of the model; None: what the directions say, or as many as their last one needs.

        Returns:
            The layers in ascending order.

        Raises:
            InputError: The text cannot be read, or no layer is left.
        """
        if layers is None:
            return self.layers
        if n_layers is None:
            known = self.model.get("n_layers")
            n_layers = max(max(self.layers) + 1, known if isinstance(known, int) else 0)
        if isinstance(layers, str):
            return choose_layers(layers, self.layers, n_layers)
        numbers = layer_numbers((layers,) if isinstance(layers, int) else layers)
        return tuple(sorted({number + n_layers if number < 0 else number for number in numbers}))

    def at(self, behaviour: str, layer: int) -> Float[Tensor, " d_model"]:
        """Return one behaviour's vector at one layer.

        Args:
            behaviour: One of `behaviours`.
            layer: The 0-based block in which the vector applies.

        Returns:
            The vector, in the units of the residual stream.

        Raises:
            InputError: There is no direction for this behaviour, or not at this layer.
        """
        return self[behaviour].at(layer)

    def top_tokens(
        self,
        model: ModelLike,
        *,
        layers: Sequence[int] | None = None,
        n: int = 10,
        n_random: int = 100,
        seed: int = 0,
        force: bool = False,
    ) -> pd.DataFrame:
        """Tabulate the tokens that each direction promotes, and lowers, through the model's unembedding.

        Args:
            model: The model that the directions are of.
            layers: 0-based blocks; None: all that there are directions at.
            n: Tokens each way.
            n_random: Random vectors of the control.
            seed: Of these vectors.
            force: Take a model of other weights, and of the same width and depth, all the same.

        Returns:
            What `Direction.top_tokens` returns, of all behaviours.

        Raises:
            InputError: The directions are of another model, one is of zeros, or there are none at a layer.
        """
        handle = load(model)
        options: dict[str, Any] = {"layers": layers, "n": n, "n_random": n_random, "seed": seed, "force": force}
        return pd.concat([self[name].top_tokens(handle, **options) for name in self.behaviours], ignore_index=True)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically.

        Args:
            path: The file to write.

        Raises:
            InputError: A vector is not finite (the message names behaviour and layer), or the file cannot be written.
        """
        check_all_finite(self.vectors, self.layers, self.residual_norm)
        description = {
            "format": FORMAT,
            "layers": self.layers,
            "method": self.method,
            "model": self.model,
            "site": str(self.site),
            "read": self.read,
            "operation": self.operation,
            "residual_norm": [None if math.isnan(norm) else norm for norm in self.residual_norm],
            "norms": {name: vectors.norm(dim=-1).tolist() for name, vectors in self.vectors.items()},
            "n_examples": self.n_examples,
            "n_problems": self.n_problems,
            "n_problems_showing": self.n_problems_showing,
            "scores": self.scores,
            "data_digest": self.data_digest,
            "split": self.split,
            "choices": {name: asdict(choice) for name, choice in self.choices.items()},
            "injection": [rate.to_dict() for rate in self.injection],
        }
        with atomic_path(Path(path)) as temporary:
            save_file(
                {name: vectors.float().contiguous() for name, vectors in self.vectors.items()},
                temporary,
                metadata={"reasonlens": json.dumps(description)},
            )

    @classmethod
    def open(cls, path: str | Path) -> Directions:
        """Read a file that `save` wrote.

        Args:
            path: The file to read.

        Returns:
            The directions, as they were saved.

        Raises:
            InputError: The file cannot be read, is damaged, or is not a file of directions.
        """
        remedy = "give the vectors.safetensors that `reasonlens locate`, `directions` or `import` wrote"
        description = read_description(path, "directions", (FORMAT,), remedy)
        check_description(description, path)
        with reading(path, "directions"):
            with safe_open(path, framework="pt") as file:
                vectors = {name: file.get_tensor(name) for name in description["norms"]}
            norms = tuple(math.nan if norm is None else float(norm) for norm in description["residual_norm"])
            check_shapes(vectors, description["layers"], norms)
            return cls(
                vectors=vectors,
                layers=tuple(description["layers"]),
                residual_norm=norms,
                site=Site.parse(description["site"]),
                split=description.get("split", {}),
                n_problems_showing=description.get("n_problems_showing", {}),
                choices=choices_of(description.get("choices", {}), path),
                injection=tuple(InjectionRate.from_dict(row) for row in description.get("injection", ())),
                **{
                    key: description[key]
                    for key in (
                        *("method", "model", "read", "operation"),
                        *("n_examples", "n_problems", "scores", "data_digest"),
                    )
                },
            )

    def _repr_html_(self) -> str:
        """Show norms by layer, in units of the mean residual norm where it is known, and cosines at the middle one."""
        from ..figures.notebook import object_html

        if not self.vectors:
            return object_html(repr(self), {})
        units = torch.tensor(self.residual_norm).double()
        is_known = bool(units.isfinite().all())
        norms = {name: self[name].vectors.double().norm(dim=-1) for name in self.behaviours}
        shown = {name: (norm / units if is_known else norm).tolist() for name, norm in norms.items()}
        middle = self.layers[len(self.layers) // 2]
        unit = torch.stack([self[name].unit(middle).double() for name in self.behaviours])
        tables = {
            f"Norm by layer{', in mean residual norms' if is_known else ''}": pd.DataFrame.from_dict(
                shown, orient="index", columns=list(self.layers)
            ),
            f"Cosines at layer {middle}": pd.DataFrame(
                (unit @ unit.T).tolist(), index=self.behaviours, columns=self.behaviours
            ),
        }
        return object_html(repr(self), tables)

    @looked_at("directions[behaviour], .at(behaviour, layer), .scores, .items()")
    def __repr__(self) -> str:
        width = self.d_model if self.vectors else 0
        return (
            f"Directions({len(self)} behaviours: {listed(self.behaviours)}; {self.model.get('name', 'a model')}, "
            f"layers {written_layers(self.layers)}{at_site(self.site)}, width {width}, read {self.read}; {self.method})"
        )
