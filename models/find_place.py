"""Find the module that computes a site in a block of a model, and confirm it on random tokens before it is used.

The block's input and output need no search. For all other sites one short pass over random tokens is made at the first
use of a model; `block_structure.py` then finds the parts of each block by the sums that the residual stream is made of.
A site that a block has not, or that no sum confirms, is refused by name.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from ..rundir import InputError, listed
from .addition import additions_of, without_additions
from .block_structure import BlockStructure, Part
from .block_watch import BlockWatch
from .blocks import find_blocks, find_body
from .handle import LanguageModel
from .one_pass import one_pass, skipped_blocks
from .place import Place
from .sites import BEFORE_BLOCK, BLOCK_OUTPUT, HEAD, Site

N_ROWS, N_TOKENS = 2, 5  # of the random text
_ENDS = (BEFORE_BLOCK, BLOCK_OUTPUT)

# With the modules that a model had when it was looked at.
_structures: WeakKeyDictionary[nn.Module, tuple[tuple[str, ...], dict[int, BlockStructure]]] = WeakKeyDictionary()


def places_of(model: LanguageModel, layers: Iterable[int], sites: Iterable[Site]) -> dict[tuple[int, Site], Place]:
    """Find the places of several sites in several blocks.

    Those of a block's output and input are found without a pass of the model.

    Args:
        model: The model.
        layers: 0-based blocks.
        sites: The sites.

    Returns:
        (layer, site) -> its place, by layer and then by site.

    Raises:
        InputError: A block has no such site, or its place cannot be confirmed on random tokens.
    """
    sites = list(sites)
    needs_search = any(site not in _ENDS for site in sites)
    structures = _structures_of(model) if needs_search else {}
    return {
        (layer, site): _place_in(model, model.layer_index(layer), site, structures)
        for layer in layers
        for site in sites
    }


def place_of(model: LanguageModel, layer: int, site: Site) -> Place:
    """Find the place of a site in a block.

    Args:
        model: The model.
        layer: The 0-based block.
        site: The site.

    Returns:
        Its place.

    Raises:
        InputError: The block has no such site, or its place cannot be confirmed on random tokens.
    """
    return places_of(model, [layer], [site])[layer, site]


def _place_in(model: LanguageModel, layer: int, site: Site, structures: dict[int, BlockStructure]) -> Place:
    block = model.blocks[layer]
    if site in _ENDS:
        return Place(layer=layer, site=site, block=block, module=block, is_input=site == BEFORE_BLOCK)
    if layer not in structures:
        raise skipped_blocks(model.name, [layer])
    structure = structures[layer]
    if site.head is not None:
        return _head_place(model, layer, site, structure)
    part = _parts(structure)[site.name]
    if part is None:
        raise _missing(model, layer, site, structure)
    first = structure.first if site.name == "hook_resid_mid" else None
    return _place(layer, site, block, part, None if first is None else _place(layer, site, block, first))


def _parts(structure: BlockStructure) -> dict[str, Part | None]:
    return {
        "hook_attn_out": structure.attention,
        "hook_resid_mid": structure.middle,
        "hook_mlp_out": structure.mlp,
        "attn.hook_out": structure.attention_output,
        "mlp.hook_out": structure.mlp_output,
    }


def _place(layer: int, site: Site, block: nn.Module, part: Part, added: Place | None = None) -> Place:
    return Place(
        layer=layer,
        site=site,
        block=block,
        module=block.get_submodule(part.path),
        is_input=part.is_input,
        is_flat=part.is_flat,
        factor=part.factor,
        added=added,
    )


def _head_place(model: LanguageModel, layer: int, site: Site, structure: BlockStructure) -> Place:
    """Find a head's part of the projection that sums the heads: as many columns as it is wide, one after the other."""
    block = model.blocks[layer]
    if structure.projection is None or site.head is None:
        raise _missing(model, layer, site, structure)
    projection: Any = block.get_submodule(structure.projection)
    attention = block.get_submodule(structure.projection.rpartition(".")[0])
    config = model.model.config.get_text_config(decoder=True)
    n_heads = getattr(config, "num_attention_heads", None)
    width = projection.in_features if isinstance(projection, nn.Linear) else projection.weight.shape[0]
    head_widths = [
        getattr(owner, name, None) for name in ("v_head_dim", "head_dim", "head_size") for owner in (attention, config)
    ]
    stated = next((head_width for head_width in head_widths if head_width), None)
    if not n_heads or width % n_heads or stated not in (None, width // n_heads):
        raise InputError(
            f"the heads of block {layer} of {model.name} cannot be told apart: its output projection takes {width} "
            f"numbers, and its configuration speaks of {n_heads} heads of {stated}. Read attn.hook_out instead."
        )
    if site.head >= n_heads:
        raise InputError(f"head {site.head} does not exist: {model.name} has {n_heads} heads (0..{n_heads - 1})")
    d_head = width // n_heads
    return Place(
        layer=layer,
        site=site,
        block=block,
        module=projection,
        columns=slice(site.head * d_head, (site.head + 1) * d_head),
        factor=1.0 if structure.attention is None else structure.attention.factor,
    )


def _missing(model: LanguageModel, layer: int, site: Site, structure: BlockStructure) -> InputError:
    """Make the error that a block has no such site, with the reason and the sites that it has."""
    where = f"block {layer} of {model.name}"
    modules = listed(structure.modules, 6)
    if site.name == "hook_resid_mid" and structure.is_parallel:
        why = "its attention and its MLP read the same stream, and what they add is added at once"
    elif site.name in ("hook_attn_out", "attn.hook_out", HEAD) and not structure.has_attention:
        why = f"it has no attention (its modules: {modules})"
    elif site.name in ("hook_mlp_out", "mlp.hook_out") and not structure.has_mlp and structure.mlp is None:
        why = f"it has no MLP (its modules: {modules})"
    else:
        why = f"no module there (of {modules}) was confirmed to compute it by the sums that make up the residual stream"
    has = ["hook_resid_pre", *(name for name, part in _parts(structure).items() if part is not None), "hook_out"]
    return InputError(f"{where} has no site {site}: {why}. It has {', '.join(has)}.")


def _structures_of(model: LanguageModel) -> dict[int, BlockStructure]:
    """Return the structure of each block that runs, found anew where modules were put in or taken out since."""
    modules = tuple(f"{path} {type(module).__name__}" for path, module in model.blocks.named_modules())
    cached = _structures.get(model.model)
    if cached is None or cached[0] != modules:
        # In a context of its own, outside of any `steer`.
        cached = _structures[model.model] = modules, contextvars.Context().run(_look, model)
    return cached[1]


def _look(model: LanguageModel) -> dict[int, BlockStructure]:
    factor = getattr(model.model.config.get_text_config(decoder=True), "residual_multiplier", None)
    factors = (1.0,) if factor in (None, 1.0) else (1.0, float(factor))
    structures: dict[int, BlockStructure] = {}
    n_tokens = min(N_TOKENS, model.context_tokens or N_TOKENS)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(model.n_token_embeddings, (N_ROWS, n_tokens), generator=generator)
    body, blocks = model.body, model.blocks
    if additions_of(blocks):  # an added vector is no part of a block, and would spoil the sums
        plain = without_additions(model.model)
        body, blocks = find_body(plain), find_blocks(plain)
    with torch.inference_mode(), one_pass(model), ExitStack() as handles:
        for layer, block in enumerate(blocks):
            watch = BlockWatch(layer, block, factors, structures)
            handles.callback(watch.close)
        body(input_ids=ids.to(model.device), use_cache=False)
    return structures
