"""TransformerLens in and out.

`blocks.L.hook_out` of a TransformerBridge is layer L here. A bridge replaces modules inside the model it wraps and
forces eager attention, so going out always works on a copy; coming in, the wrapped Hugging Face model (whose block
list now holds the bridge's blocks) is read like any other.
"""

from __future__ import annotations

import copy
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeGuard
from weakref import WeakKeyDictionary

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ..rundir import InputError
from .blocks import find_blocks, find_body
from .handle import LanguageModel

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


_OWN_TOKENIZER: WeakKeyDictionary[Any, PreTrainedTokenizerBase] = WeakKeyDictionary()  # of bridges made here
_FINGERPRINT: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # of their models, whose weights a bridge names anew


def is_bridge(model: object) -> TypeGuard[TransformerBridge]:
    """Whether `model` is a TransformerBridge, without importing TransformerLens to find out."""
    return any(
        kind.__module__.startswith("transformer_lens.") and kind.__name__ == "TransformerBridge"
        for kind in type(model).__mro__
    )


def from_bridge(bridge: TransformerBridge, tokenizer: PreTrainedTokenizerBase | None = None) -> LanguageModel:
    """The handle on the Hugging Face model that a bridge wraps.

    Raises InputError after `enable_compatibility_mode()`, which folds layer norms and re-centres the residual stream:
    activations would then not be those of the model that anyone else runs.
    """
    if bridge.compatibility_mode:
        raise InputError(
            "this TransformerBridge is in compatibility mode, which re-centres the residual stream: directions read "
            "from it fit no other copy of the model. Pass a bridge on which enable_compatibility_mode() was not called."
        )
    model: Any = bridge.original_model
    model.eval()
    handle = LanguageModel(
        model=model,
        tokenizer=tokenizer or _tokenizer(bridge),
        body=find_body(model),
        blocks=find_blocks(model),
        name=str(bridge.cfg.model_name),
        revision=getattr(model.config, "_commit_hash", None),
    )
    if bridge in _FINGERPRINT:
        handle.__dict__["fingerprint"] = _FINGERPRINT[bridge]  # where cached_property looks first
    return handle


def to_bridge(language_model: LanguageModel) -> TransformerBridge:
    """A TransformerBridge around a deep copy of the model and its tokenizer."""
    from transformer_lens.model_bridge import TransformerBridge

    model = copy.deepcopy(language_model.model)
    with TemporaryDirectory() as directory:  # TransformerLens re-makes the tokenizer from files, to have it prepend BOS
        language_model.tokenizer.save_pretrained(directory)
        bridge = TransformerBridge.boot_transformers(
            language_model.name,
            hf_model=model,
            tokenizer=AutoTokenizer.from_pretrained(directory),
            device=None if getattr(model, "hf_device_map", None) else str(language_model.device),
            dtype=model.dtype,
        )
    _OWN_TOKENIZER[bridge] = language_model.tokenizer
    _FINGERPRINT[bridge] = language_model.fingerprint
    return bridge


def _tokenizer(bridge: TransformerBridge) -> PreTrainedTokenizerBase:
    """The tokenizer that the bridge was made from, if it can be had, else the bridge's own.

    A bridge's tokenizer prepends BOS even where the model was trained without, and the same text must become the same
    tokens whichever way the model is held.
    """
    if bridge in _OWN_TOKENIZER:
        return _OWN_TOKENIZER[bridge]
    tokenizer: PreTrainedTokenizerBase = bridge.tokenizer
    if bridge.cfg.tokenizer_prepends_bos and tokenizer.name_or_path:
        try:
            return AutoTokenizer.from_pretrained(tokenizer.name_or_path, local_files_only=True)
        except (OSError, ValueError):
            pass
    return tokenizer
