"""Load anything that names or holds a model into one `LanguageModel`.

Accepted are a built-in name (`smollm2-135m`, `organism/rl-timing`), a hub id, a directory of a model or an adapter, a
`.gguf` file, any of these with a file of vectors (`smollm2-135m+vectors.safetensors`), a `PreTrainedModel` or
`PeftModel` (with its tokenizer), a TransformerLens `TransformerBridge`, and a `LanguageModel` itself. Every public
function that takes a model passes it through `load`, so all of these work everywhere.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..rundir import InputError
from .adapter import add_adapter, check_peft, is_peft, name_of, tuned_model
from .blocks import find_blocks, find_body
from .bridge import is_bridge, known_fingerprint, tokenizer_of, wrapped_model
from .checkpoint import load_checkpoint, load_tokenizer, some
from .device import device_of
from .difference import add_difference
from .handle import LanguageModel
from .hub import cached_directory
from .organism import RECORD, Organism, is_member_name, organism_files
from .precision import precision_of
from .sources import ADAPTER, Source, find_source
from .steered_name import read_vectors, split_name

if TYPE_CHECKING:
    from peft import PeftModel
    from transformer_lens.model_bridge import TransformerBridge

# Anything that names or holds a model; every public function takes any of these.
ModelLike: TypeAlias = "str | Path | PreTrainedModel | PeftModel | LanguageModel | TransformerBridge"


def load(
    model: ModelLike,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    **options: Any,
) -> LanguageModel:
    """Load a model, or wrap a model object, into a handle.

    Args:
        model: A built-in name, a hub id, a local directory, a .gguf file, one of these with a file of vectors
            (`NAME+FILE`), a `PreTrainedModel`, a `PeftModel`, a
            `TransformerBridge` or a handle. Objects are used where and as they are.
        tokenizer: The tokenizer of a `PreTrainedModel` that does not know where its own is.
        device: Where a model that is loaded by name goes; None means the first CUDA device if there is one, else the
            CPU.
        dtype: Of the weights of a model that is loaded by name; None means float32 on the CPU and the checkpoint's own
            on an accelerator.
        revision: Of a hub repository.
        trust_remote_code: Run code that comes with the model; never done unless asked for.
        **options: Passed to `from_pretrained` (`device_map="auto"`, `quantization_config=...`,
            `attn_implementation="eager"`).

    Returns:
        The handle.

    Raises:
        InputError: The model cannot be found, has no weights, or is of a kind that cannot be read; there is no such
            dtype.
    """
    if isinstance(model, LanguageModel):
        return model
    model = getattr(model, "_orig_mod", model)  # the model inside torch.compile's wrapper
    if is_peft(model):
        inner = tuned_model(model)
        return wrap(inner, tokenizer or _tokenizer_of(inner), name=name_of(inner))
    if isinstance(model, PreTrainedModel):
        return wrap(model, tokenizer or _tokenizer_of(model))
    if not isinstance(model, str | Path):
        if is_bridge(model):
            return _wrap_bridge(model, tokenizer)
        raise InputError(
            f"cannot use a {type(model).__name__} as a model: give a name, a directory, a .gguf file, a Hugging Face "
            "PreTrainedModel or PeftModel with its tokenizer, or a TransformerLens TransformerBridge"
        )
    if isinstance(dtype, str) and dtype != "auto":
        dtype = precision_of(dtype)
    shared: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    steered = split_name(model)
    if steered is not None:
        base, file = steered
        plain = load(base, tokenizer, device=device, dtype=dtype, **shared, **options)
        return plain.with_vectors(read_vectors(file, plain.n_layers, plain.d_model), name=str(model))
    if device is None and "device_map" not in options:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    target = None if device is None else device_of(device)
    organism = str(model) if is_member_name(str(model)) else None
    source = find_source(model, revision)
    if source.adapter is not None:
        options |= {"trust_remote_code": trust_remote_code}
        return _load_adapter(str(model), source, tokenizer, device=device, dtype=dtype, revision=revision, **options)
    if dtype is None:
        dtype = torch.float32 if target is not None and target.type == "cpu" else "auto"
    options |= shared
    if target is not None and target.type != "cpu":
        options["device_map"] = {"": target}  # straight to the device: quantised weights cannot be moved later
    tokenizer = tokenizer or load_tokenizer(str(model), source.location, **shared)
    loaded = load_checkpoint(str(model), source.location, dtype, options)
    checkpoint = organism_files(organism)[1] if organism else None
    if checkpoint:
        add_difference(loaded, checkpoint)
    commit = cached_directory(source.location, revision) if source.is_on_hub else None
    handle = wrap(loaded, tokenizer, name=str(model), revision=commit.name if commit else source.digest)
    if checkpoint or not (Path(source.location) / RECORD).is_file():
        return handle
    fields = {field.name: getattr(handle, field.name) for field in dataclasses.fields(LanguageModel)}
    return Organism(**fields, directory=Path(source.location))


def _load_adapter(
    name: str, source: Source, tokenizer: PreTrainedTokenizerBase | None, *, revision: str | None, **options: Any
) -> LanguageModel:
    """Load an adapter together with its base."""
    settings = source.adapter or {}
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise InputError(f"{name}/{ADAPTER} does not name the adapter's base: set base_model_name_or_path there")
    check_peft(name)
    try:
        handle = load(base, tokenizer, revision=settings.get("revision"), **options)
    except InputError as error:
        raise InputError(
            f"cannot load the base of the adapter {name!r}, which {ADAPTER} says is {base!r}: {error}. "
            "Correct base_model_name_or_path there, or load the base and pass a PeftModel."
        ) from error
    model = add_adapter(handle.model, name, source.location, {"revision": revision})
    if tokenizer is None and source.has_tokenizer:
        code = options["trust_remote_code"]
        tokenizer = load_tokenizer(name, source.location, revision=revision, trust_remote_code=code)
    return wrap(model, tokenizer or handle.tokenizer, name=name, revision=source.digest)


def wrap(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    name: str | None = None,
    revision: str | None = None,
) -> LanguageModel:
    """Make the handle on a model object and its tokenizer, and put the model into evaluation mode.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        name: What to call it; None means the name in its configuration.
        revision: Commit or digest of its weights; None means that in its configuration.

    Returns:
        The handle.

    Raises:
        InputError: The model has no decoder blocks that can be read, or its weights are on the meta device.
    """
    _check_has_weights(model)
    model.eval()
    return LanguageModel(
        model=model,
        tokenizer=tokenizer,
        body=find_body(model),
        blocks=find_blocks(model),
        name=name or getattr(model.config, "_name_or_path", "") or type(model).__name__,
        revision=revision or getattr(model.config, "_commit_hash", None),
    )


def _check_has_weights(model: PreTrainedModel) -> None:
    """Raise InputError for a model of shapes alone; accelerate's offloaded weights come when they are needed."""
    is_offloaded = hasattr(model, "hf_device_map") or any(hasattr(module, "_hf_hook") for module in model.modules())
    empty = [name for name, weight in model.named_parameters() if weight.device.type == "meta"]
    if empty and not is_offloaded:
        raise InputError(
            f"{len(empty)} weights of this {type(model).__name__} are on the meta device, where they have no values "
            f"({some(empty)}): load it with from_pretrained, or fill it with model.to_empty and load_state_dict"
        )


def _wrap_bridge(bridge: TransformerBridge, tokenizer: PreTrainedTokenizerBase | None) -> LanguageModel:
    """Return the handle on the Hugging Face model that a bridge wraps."""
    model = wrapped_model(bridge)
    handle = wrap(model, tokenizer or tokenizer_of(bridge), name=str(bridge.cfg.model_name))
    return dataclasses.replace(handle, bridged=known_fingerprint(bridge))


def _tokenizer_of(model: PreTrainedModel) -> PreTrainedTokenizerBase:
    directory = Path(getattr(model.config, "_name_or_path", "") or "-")
    if not (directory / "tokenizer_config.json").is_file():
        raise InputError(
            f"a {type(model).__name__} without its tokenizer cannot read text: "
            "pass reasonlens.load(model, tokenizer) instead of the bare model"
        )
    return load_tokenizer(str(directory), directory)
