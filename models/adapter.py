"""Load models that were tuned with adapters (LoRA and its kin, of the `peft` package).

    W' = W + s B A          Hu et al. 2021 (arXiv 2106.09685)

An adapter directory is loaded with its base and merged into the weights, so that the result is an ordinary model. A
`PeftModel` object is used as it is: its blocks hold the adapter's modules, and which adapters act there at the moment
is part of the model's identity. Adapters that act outside the blocks' modules (prompts, prefixes, routers) are refused.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeGuard

from torch import nn
from transformers import PreTrainedModel

from ..rundir import InputError, content_digest, file_digest
from .checkpoint import in_order, quiet, some
from .failures import FAILURES, reason
from .merging import can_be_merged, separate_shared_weights

REMEDY = "pip install 'reasonlens[peft]'"
# Kinds that change what modules compute and nothing else, and that can be merged into the weights.
WITHIN_MODULES = (
    "ADALORA BOFT C3A FOURIERFT HRA IA3 LN_TUNING LOHA LOKR LORA MISS OFT RANDLORA TRAINABLE_TOKENS VBLORA VERA"
).split()


def is_peft(model: object) -> TypeGuard[Any]:
    """Check whether `model` is an object of peft, without importing it."""
    return any(
        kind.__module__.startswith("peft.") and kind.__name__ in ("PeftModel", "PeftMixedModel")
        for kind in type(model).__mro__
    )


def tuned_model(model: Any) -> PreTrainedModel:
    """Return the Hugging Face model inside a `PeftModel`, whose modules hold the adapters.

    Raises:
        InputError: An adapter acts outside of modules, so that this model would not be the tuned one.
    """
    for name, settings in model.peft_config.items():
        _check_kind(name, settings)
    inner = model.base_model.model
    if not isinstance(inner, PreTrainedModel):
        raise InputError(f"the PeftModel holds a {type(inner).__name__}; give one of a causal language model")
    return inner


def name_of(inner: PreTrainedModel) -> str:
    """Name a tuned model by its base and the adapters that are active."""
    base = getattr(inner.config, "_name_or_path", "") or type(inner).__name__
    state = adapter_state(inner)
    return base if state is None or not state["active"] else f"{base}+{'+'.join(state['active'])}"


def adapter_state(model: nn.Module) -> dict[str, Any] | None:
    """Describe which adapters act in a model at the moment.

    Args:
        model: Any model, tuned or not.

    Returns:
        The names of the active adapters, and a digest of where they act, how strongly, and where they are merged; None
        for a model without adapters. Adapters that are switched off are not active; those of them that are merged are
        taken out of the weights, as in the model's next pass.
    """
    active: set[str] = set()
    modules: list[list[Any]] = []
    for path, module in model.named_modules():
        if not isinstance(getattr(type(module), "disable_adapters", None), property):  # of all of peft's layers
            continue
        if module.disable_adapters and getattr(module, "merged", False):
            module.unmerge()  # as its next pass would: what is switched off does not act
        merged = list(getattr(module, "merged_adapters", []))
        names = [] if module.disable_adapters else list(getattr(module, "active_adapters", []))
        scales = dict(getattr(module, "scaling", {}) or {})
        active |= set(names) | set(merged)
        modules.append([path, names, merged, sorted((name, str(scales.get(name))) for name in names)])
    if not modules:
        return None
    return {"active": sorted(active), "digest": content_digest(modules)}


def refuse_adapters(model: nn.Module, purpose: str) -> None:
    """Raise InputError if a model holds adapters that are not merged, which `purpose` cannot take."""
    if adapter_state(model) is not None:
        raise InputError(
            f"{purpose} takes no adapters: merge them into the weights first, "
            "reasonlens.load(peft_model.merge_and_unload(), tokenizer), or load the adapter's directory"
        )


def add_adapter(model: PreTrainedModel, name: str, location: str, options: dict[str, Any]) -> PreTrainedModel:
    """Put an adapter into its base, in place, and merge it into weights that are not quantised and can hold it.

    Args:
        model: The base.
        name: What the user called the adapter.
        location: Its directory, or the id of its hub repository.
        options: Of peft's `from_pretrained` (`revision`).

    Returns:
        The tuned model.

    Raises:
        InputError: peft is not installed, or the adapter does not fit the base.
    """
    check_peft(name)
    from peft import PeftConfig, PeftModel

    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft uses old names of transformers
            warnings.filterwarnings("ignore", "Model has .tie_word_embeddings=True. and a tied layer")  # see merging.py
            settings: Any = PeftConfig.from_pretrained(location, **options)
            _check_kind(name, settings)
            settings.inference_mode = True
            tuned: Any = PeftModel(model, settings)
            report = tuned.load_adapter(location, "default", torch_device=str(model.device), **options)
    except InputError:
        raise
    except FAILURES as error:
        raise InputError(f"cannot load the adapter {name!r}: {reason(error)}. Does it belong to this base?") from error
    if report.missing_keys or report.unexpected_keys:
        missing, unknown = in_order(report.missing_keys), in_order(report.unexpected_keys)
        raise InputError(
            f"the adapter {name!r} does not fit its base: "
            + "; ".join(
                f"{len(names)} weights {what} ({some(names)})"
                for names, what in ((missing, "are missing"), (unknown, "have no place"))
                if names
            )
        )
    if getattr(model, "is_quantized", False) or not can_be_merged(model):
        return tuned_model(tuned)
    separate_shared_weights(model)
    try:
        with quiet(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Input and output embeddings are no longer tied")
            merged: PreTrainedModel = tuned.merge_and_unload(safe_merge=True)
    except FAILURES as error:
        raise InputError(
            f"cannot merge the adapter {name!r} into its base: {reason(error)}. Are its weights finite?"
        ) from error
    return merged


def check_peft(name: str) -> None:
    """Raise InputError if peft is not installed."""
    if find_spec("peft") is None:
        raise InputError(f"{name!r} is an adapter, which needs the package peft: {REMEDY}")


def adapter_digest(directory: Path) -> str:
    """Digest the weights and settings of an adapter on disk."""
    files = [*directory.glob("adapter_config.json"), *directory.glob("adapter_model.*")]
    return content_digest(sorted((file.name, file_digest(file)) for file in files))


def _check_kind(name: str, settings: Any) -> None:
    kind = getattr(settings.peft_type, "value", str(settings.peft_type))
    if kind not in WITHIN_MODULES or getattr(settings, "alora_invocation_tokens", None):
        raise InputError(
            f"the adapter {name!r} is of the kind {kind}, which acts outside the model's modules or only after certain "
            f"tokens: reasonlens would read its base. Kinds that can be read: {', '.join(WITHIN_MODULES)}"
        )
    if getattr(settings, "megatron_config", None):
        raise InputError(f"the adapter {name!r} needs Megatron; train or save it without megatron_config")
