"""Convert models to TransformerLens's TransformerBridge, and read models from one.

`blocks.L.hook_out` of a TransformerBridge is layer L here. A bridge replaces modules inside the model that it wraps and
forces eager attention, so a bridge is always made from a copy. The Hugging Face model inside a bridge (whose block list
then holds the bridge's blocks) is read like any other.
"""

from __future__ import annotations

import copy
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeGuard, cast
from weakref import WeakKeyDictionary

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from ..rundir import InputError
from .adapter import refuse_adapters
from .fingerprint import weights_fingerprint

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


_OWN_TOKENIZER: WeakKeyDictionary[Any, PreTrainedTokenizerBase] = WeakKeyDictionary()  # of bridges from `make_bridge`
# Of their weights as they were made and of their models, since a bridge renames weights.
_FINGERPRINT: WeakKeyDictionary[Any, tuple[str, str]] = WeakKeyDictionary()


def is_bridge(model: object) -> TypeGuard[TransformerBridge]:
    """Check whether `model` is a TransformerBridge, without importing TransformerLens."""
    return any(
        kind.__module__.startswith("transformer_lens.") and kind.__name__ == "TransformerBridge"
        for kind in type(model).__mro__
    )


def wrapped_model(bridge: TransformerBridge) -> PreTrainedModel:
    """Return the Hugging Face model that a bridge wraps.

    Raises:
        InputError: The bridge is in compatibility mode, which folds layer norms and re-centres the residual stream:
            activations would not be those of the model that anyone else runs.
    """
    if bridge.compatibility_mode:
        raise InputError(
            "this TransformerBridge is in compatibility mode, which re-centres the residual stream: directions read "
            "from it fit no other copy of the model. Pass a bridge on which enable_compatibility_mode() was not called."
        )
    model: Any = bridge.original_model
    return cast(PreTrainedModel, model)


def known_fingerprint(bridge: TransformerBridge) -> tuple[str, str] | None:
    """Return the fingerprints of a bridge as `make_bridge` made it and of its model; None for one made elsewhere."""
    return _FINGERPRINT.get(bridge)


def make_bridge(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, name: str, device: str, fingerprint: str
) -> TransformerBridge:
    """Make a TransformerBridge around a deep copy of a model.

    Args:
        model: The model to copy.
        tokenizer: Its tokenizer; `tokenizer_of(bridge)` gives it back.
        name: What TransformerLens calls the model.
        device: Where the copy goes, unless accelerate has spread the model over several devices.
        fingerprint: Of the model's weights, for `known_fingerprint`.

    Returns:
        The bridge.
    """
    from transformer_lens.model_bridge import TransformerBridge

    refuse_adapters(model, "TransformerLens")
    model = copy.deepcopy(model)
    with TemporaryDirectory() as directory:  # TransformerLens reloads the tokenizer from files, to prepend BOS
        tokenizer.save_pretrained(directory)
        bridge = TransformerBridge.boot_transformers(
            name,
            hf_model=model,
            tokenizer=AutoTokenizer.from_pretrained(directory, trust_remote_code=False),
            device=None if getattr(model, "hf_device_map", None) else device,
            dtype=model.dtype,
        )
    _OWN_TOKENIZER[bridge] = tokenizer
    _FINGERPRINT[bridge] = (weights_fingerprint(wrapped_model(bridge)), fingerprint)
    return bridge


def tokenizer_of(bridge: TransformerBridge) -> PreTrainedTokenizerBase:
    """Return the tokenizer that a bridge was made from, if it is available, else the bridge's own.

    A bridge's tokenizer prepends BOS even where the model was trained without, and the same text must become the same
    tokens whichever way the model is held.
    """
    if bridge in _OWN_TOKENIZER:
        return _OWN_TOKENIZER[bridge]
    tokenizer: PreTrainedTokenizerBase = bridge.tokenizer
    if bridge.cfg.tokenizer_prepends_bos and tokenizer.name_or_path:
        try:
            return AutoTokenizer.from_pretrained(tokenizer.name_or_path, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError):
            pass
    return tokenizer
