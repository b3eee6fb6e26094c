"""Put some weights of one model into another of the same architecture: a graft.

    graft      base's modules, with the other model's tensors at the chosen names, and the base's own at all others
    permuted   base + P (other - base) at the chosen names: the differences of each tensor, entries shuffled, with
               random signs, so that each keeps its norm

A graft is a second tree of modules over the tensors of both models (`addition.py` does the same): nothing is copied and
nothing is computed, so the graft of all weights is the other model bit for bit, and that of none is the base.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..rundir import InputError, listed
from .adapter import refuse_adapters
from .blocks import find_blocks, find_body
from .handle import LanguageModel

# What a configuration may say otherwise without the model computing something else.
_FREE = frozenset(
    """
    _name_or_path architectures bos_token_id eos_token_id pad_token_id dtype torch_dtype use_cache transformers_version
    max_position_embeddings attention_dropout initializer_range task_specific_params
    """.split()
)


def tensors_of(model: LanguageModel) -> dict[str, Tensor]:
    """List the parameters and buffers of a model by name; those that are tied once."""
    return dict(chain(model.model.named_parameters(), model.model.named_buffers()))


def check_graftable(base: LanguageModel, other: LanguageModel) -> None:
    """Check that weights of one model can stand in the other.

    Args:
        base: The model that takes weights.
        other: The model that they are of.

    Raises:
        InputError: The models are of different architectures, shapes or vocabularies, or one holds adapters, adds
            vectors, or is offloaded.
    """
    names = f"{base.name} and {other.name}"
    for model in (base, other):
        refuse_adapters(model.model, "a graft")
        if model.vectors is not None:
            raise InputError(f"{model.name} adds vectors, which are no weights: a graft takes models without vectors")
        if any(tensor.is_meta for tensor in tensors_of(model).values()):
            raise InputError(f"weights of {model.name} are offloaded, and cannot be grafted: load it on one device")
    if type(base.model) is not type(other.model):
        kinds = f"a {type(base.model).__name__} and a {type(other.model).__name__}"
        raise InputError(f"weights of {names} cannot be exchanged: they are {kinds}")
    own, others = tensors_of(base), tensors_of(other)
    if missing := sorted(own.keys() ^ others.keys()):
        raise InputError(f"weights of {names} cannot be exchanged: one of them has no {listed(missing, 3)}")
    for name, tensor in own.items():
        if (tensor.shape, tensor.dtype) != (others[name].shape, others[name].dtype):
            shapes = " and ".join(f"{tuple(one.shape)} of {one.dtype}" for one in (tensor, others[name]))
            raise InputError(f"weights of {names} cannot be exchanged: {name} is {shapes}")
    settings, other_settings = (model.model.config.to_dict() for model in (base, other))
    differing = sorted(
        key for key in (settings.keys() | other_settings.keys()) - _FREE if settings.get(key) != other_settings.get(key)
    )
    if differing:
        key = differing[0]
        raise InputError(
            f"weights of {names} cannot be exchanged: they compute different things with equal weights, by their "
            f"configurations ({key}: {str(settings.get(key))[:40]} and {str(other_settings.get(key))[:40]})"
        )
    if base.tokenizer.get_vocab() != other.tokenizer.get_vocab():
        raise InputError(f"weights of {names} cannot be exchanged: their tokens are others")


def graft(base: LanguageModel, other: LanguageModel, names: Collection[str], name: str) -> LanguageModel:
    """Make a model of the base's weights, but for some of another model.

    Both models stay as they are. Weights are shared: changed in place, they change in the graft.

    Args:
        base: The model that takes weights.
        other: The model that they are of, for which `check_graftable` holds.
        names: Tensors that are taken, as `tensors_of` names them.
        name: What to call the graft.

    Returns:
        The graft.

    Raises:
        InputError: There is no such tensor.
    """
    own, others = tensors_of(base), tensors_of(other)
    if unknown := [one for one in names if one not in own]:
        raise InputError(f"{base.name} has no weights {listed(unknown, 3)}; `weight_places(model)` lists them")
    return _with_tensors(base, {one: _on(others[one], own[one]) for one in names}, name)


def permuted_graft(
    base: LanguageModel, other: LanguageModel, names: Collection[str], name: str, seed: int
) -> LanguageModel:
    """Make the control of `graft`: each tensor moved as far, in a random direction.

    Args:
        base: The model that takes weights.
        other: The model whose differences are shuffled.
        names: Tensors that are moved.
        name: What to call the graft.
        seed: Of the shuffles; a tensor is shuffled in the same way whatever others are moved.

    Returns:
        The graft.
    """
    own, others = tensors_of(base), tensors_of(other)
    moved = {}
    for one in names:
        if own[one].is_floating_point():
            difference = _permuted(_on(others[one], own[one]).detach().float() - own[one].detach().float(), one, seed)
            moved[one] = _as(own[one], (own[one].detach().float() + difference).to(own[one].dtype))
        else:
            moved[one] = _on(others[one], own[one])
    return _with_tensors(base, moved, name)


def difference_norm(base: LanguageModel, other: LanguageModel, names: Collection[str]) -> float:
    """Compute the norm of the differences of some tensors, taken together.

    Args:
        base: One model.
        other: The other.
        names: The tensors.

    Returns:
        The root of the sum of their squares.
    """
    own, others = tensors_of(base), tensors_of(other)
    squares = [
        float((_on(others[one], own[one]).detach().double() - own[one].detach().double()).square().sum())
        for one in names
        if own[one].is_floating_point()
    ]
    return float(sum(squares) ** 0.5)


def _permuted(difference: Float[Tensor, " *shape"], name: str, seed: int) -> Float[Tensor, " *shape"]:
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    flat = difference.flatten()
    order = torch.randperm(len(flat), generator=generator).to(flat.device)
    signs = (torch.randint(2, (len(flat),), generator=generator) * 2 - 1).to(flat)
    return (flat[order] * signs).reshape(difference.shape)


def _with_tensors(base: LanguageModel, tensors: dict[str, Tensor], name: str) -> LanguageModel:
    own = tensors_of(base)
    memo = {id(tensor): tensors.get(one, tensor) for one, tensor in own.items()}
    model = copy.deepcopy(base.model, memo)
    return LanguageModel(
        model=model,
        tokenizer=base.tokenizer,
        body=find_body(model),
        blocks=find_blocks(model),
        name=name,
    )


def _on(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a tensor where another one is: itself if it is there already."""
    return tensor if tensor.device == like.device else _as(like, tensor.detach().to(like.device))


def _as(like: Tensor, values: Tensor) -> Tensor:
    return nn.Parameter(values, requires_grad=False) if isinstance(like, nn.Parameter) else values
