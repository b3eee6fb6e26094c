"""Check that every setting and weight of a GGUF file reaches the Hugging Face model that is made of it.

transformers reads part of a GGUF file's metadata and passes over the rest, so that a soft cap, a sliding window or a
bias of the file can be missing from the model. Each `ARCHITECTURE.*` key of the file must therefore

1. equal the attribute of the configuration that it stands for, or be put there; or
2. change nothing (a limit, a count of what is stored elsewhere, a feature that is off); or
3. be refused by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedConfig, PreTrainedModel

from ..rundir import InputError
from .checkpoint import in_order, some

# Key of the file -> the attributes that hold it; the first one that a configuration has is meant.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "context_length": ("max_position_embeddings", "n_positions", "seq_length"),
    "embedding_length": ("hidden_size",),
    "block_count": ("num_hidden_layers",),
    "feed_forward_length": ("intermediate_size", "ffn_hidden_size"),
    "vocab_size": ("vocab_size",),
    "attention.head_count": ("num_attention_heads",),
    "attention.head_count_kv": ("num_key_value_heads", "num_kv_heads"),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon", "layer_norm_eps", "norm_epsilon", "norm_eps"),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", "norm_eps", "layer_norm_epsilon"),
    "attention.sliding_window": ("sliding_window",),
    "attention.shared_kv_layers": ("num_kv_shared_layers",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "logit_scale": ("logit_scale",),
    "embedding_length_per_layer_input": ("hidden_size_per_layer_input",),
    "expert_count": ("num_local_experts", "num_experts"),
    "expert_used_count": ("num_experts_per_tok",),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
    "expert_weights_norm": ("norm_topk_prob",),
    "full_attention_interval": ("full_attention_interval",),
    "shortconv.l_cache": ("conv_L_cache",),
    "ssm.conv_kernel": ("conv_kernel", "linear_conv_kernel_dim"),
    "ssm.state_size": ("state_size", "linear_key_head_dim"),
    "ssm.time_step_rank": ("time_step_rank", "linear_num_value_heads"),
    "ssm.group_count": ("linear_num_key_heads",),
    "use_parallel_residual": ("use_parallel_residual",),
}
# What names one key otherwise in one model type.
BY_MODEL_TYPE: dict[tuple[str, str], tuple[str, ...]] = {
    ("minimax_m2", "feed_forward_length"): ("intermediate_size",),
    ("minimax_m2", "expert_feed_forward_length"): ("intermediate_size",),
    ("mamba", "ssm.inner_size"): ("intermediate_size",),
}
# Keys without effect on what a model computes from token ids.
WITHOUT_EFFECT = {"pooling_type", "tensor_data_layout", "nextn_predict_layers", "rope.scaling.finetuned"}
# Features that are off with this value.
OFF: dict[str, object] = {
    "attention.causal": True,
    "expert_weights_scale": 1.0,
    "logit_scale": 1.0,
    "residual_scale": 1.0,
    "embedding_scale": 1.0,
}
ROPE_TENSORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")


@dataclass(frozen=True, eq=False, kw_only=True)
class GgufFile:
    """The settings and the weights' names of a GGUF file."""

    path: Path
    settings: dict[str, Any]  # without the architecture's prefix: "rope.freq_base"
    n_elements: dict[str, int]  # of each tensor
    rope: dict[str, Float[np.ndarray, " rotary_half"]]  # the tensors among ROPE_TENSORS
    tokenizer: str | None  # its kind
    splitting: str | None  # name of how it splits text into pieces

    def refuse(self, settings: list[str]) -> InputError:
        """Make the error that names what cannot be taken from the file."""
        return InputError(
            f"cannot convert {self.path}: {some(settings)} would be lost, and the model would "
            "compute something else. Load the original Hugging Face checkpoint instead."
        )

    def refuse_values(self, settings: list[str]) -> InputError:
        """Make the error that names numbers of the file that no model can have."""
        return InputError(
            f"cannot convert {self.path}: {some(settings)}: no model computes with such numbers. Is the file damaged? "
            "Get it anew, or load the original Hugging Face checkpoint."
        )


def read_gguf(path: Path) -> GgufFile:
    """Read what a GGUF file says of its model, without its weights."""
    reader = gguf.GGUFReader(path)
    prefix = f"{reader.fields['general.architecture'].contents()}."
    return GgufFile(
        path=path,
        settings={
            name.removeprefix(prefix): field.contents()
            for name, field in reader.fields.items()
            if name.startswith(prefix)
        },
        n_elements={tensor.name: int(tensor.n_elements) for tensor in reader.tensors},
        tokenizer=_text(reader, "tokenizer.ggml.model"),
        splitting=_text(reader, "tokenizer.ggml.pre"),
        rope={tensor.name: np.asarray(tensor.data) for tensor in reader.tensors if tensor.name in ROPE_TENSORS},
    )


def _text(reader: gguf.GGUFReader, key: str) -> str | None:
    return str(reader.fields[key].contents()) if key in reader.fields else None


def take_settings(file: GgufFile, config: PreTrainedConfig) -> None:
    """Put the settings of a file into the configuration that transformers made of it, in place.

    Rotary embeddings (`rope.*`) are left to `take_rope`.

    Raises:
        InputError: The configuration has no place for a setting.
    """
    refused = []
    settings = dict(file.settings)
    if unsound := [f"{key} = {_short(value)}" for key, value in settings.items() if not _is_sound(key, value)]:
        raise file.refuse_values(unsound)
    if "head_dim" in config.to_dict() and "attention.head_count" in settings:
        settings.setdefault("attention.key_length", config.hidden_size // config.num_attention_heads)
    for key, value in settings.items():
        if key.startswith("rope.") or key in WITHOUT_EFFECT:
            continue
        if key == "block_count":
            value -= file.settings.get("nextn_predict_layers", 0)  # predict several tokens, and are not loaded
        if not _take(key, value, config):
            refused.append(f"{key} = {_short(value)}")
    if refused:
        raise file.refuse(refused)
    _take_biases(file, config)
    if config.model_type in ("gemma2", "gemma3_text"):
        # Not in the file: llama.cpp scales by the width of a head, but in the 27B models by that which equal shares
        # of the residual stream would have.
        largest = config.num_hidden_layers == {"gemma2": 46, "gemma3_text": 62}[config.model_type]
        config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads if largest else config.head_dim


def check_weights(file: GgufFile, model: PreTrainedModel, missing: list[str]) -> None:
    """Check that the file's weights are those of the model, no more and no fewer.

    Args:
        file: What the file holds.
        model: What was loaded from it.
        missing: Names of the weights that were not in the file.

    Raises:
        InputError: Weights are missing or not finite, or weights of the file have no place in the model.
    """
    if missing:
        raise InputError(
            f"cannot convert {file.path}: {len(missing)} weights are missing ({some(in_order(missing))}). "
            "Was the file split or cut? Load the original Hugging Face checkpoint instead."
        )
    weights = model.state_dict()
    if unsound := [name for name, weight in weights.items() if not torch.isfinite(weight).all()]:
        raise file.refuse_values([f"{name} holds NaN or infinity" for name in in_order(unsound)])
    config = model.config
    n_extra = file.settings.get("nextn_predict_layers", 0)
    unused = {f"blk.{config.num_hidden_layers + extra}." for extra in range(n_extra)}
    stored = {
        name: count
        for name, count in file.n_elements.items()
        if name not in ROPE_TENSORS
        and not any(name.startswith(prefix) for prefix in unused)
        and not (name == "output.weight" and config.tie_word_embeddings)
    }
    used = {weight.data_ptr(): weight.numel() for weight in weights.values()}
    if sum(stored.values()) <= sum(used.values()):
        return
    names = _gguf_names(model)
    lost = [name for name in stored if name not in names] or [f"{sum(stored.values()) - sum(used.values())} weights"]
    raise file.refuse(lost)


def head_widths(config: PreTrainedConfig) -> tuple[int, int]:
    """Return the widths of a head: in blocks that attend to everything, and in those with a window."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(getattr(config, "global_head_dim", None) or width), int(width)


def _take(key: str, value: Any, config: PreTrainedConfig) -> bool:
    """Put one setting into the configuration; False if there is no place."""
    if isinstance(value, list) and key not in ("attention.sliding_window_pattern",):  # one value a block
        values = {entry for entry in value if entry}
        if len(values) != 1:
            return False
        value = values.pop()
    full, windowed = head_widths(config)
    match key:
        case "attention.key_length" | "attention.value_length":
            if value != full and "head_dim" in config.to_dict() and full == windowed:
                config.head_dim = value
            return bool(value == head_widths(config)[0])
        case "attention.key_length_swa" | "attention.value_length_swa":
            return bool(value == windowed)
        case "attention.scale":
            return math.isclose(value, full**-0.5, rel_tol=1e-5)
        case "attention.sliding_window_pattern":
            return _has_window(value, config)
        case "ssm.inner_size" if hasattr(config, "linear_value_head_dim"):
            return bool(value == config.linear_value_head_dim * config.linear_num_value_heads)
        case "expert_gating_func":
            scoring = {0: "none", 1: "softmax", 2: "sigmoid"}.get(value)
            return scoring == getattr(config, "scoring_func", "softmax")
    known = config.to_dict().keys() | type(config).attribute_map.keys()
    for attribute in BY_MODEL_TYPE.get((config.model_type, key), ATTRIBUTES.get(key, ())):
        if attribute in known:
            if not _equal(getattr(config, attribute), value):
                setattr(config, attribute, value)
            return True
    if key == "attention.sliding_window":  # a window as long as the context hides nothing
        return bool(value == 0 or value >= getattr(config, "max_position_embeddings", math.inf))
    return key in ("context_length", "feed_forward_length") or (value == OFF[key] if key in OFF else not value)


def _is_sound(key: str, value: Any) -> bool:
    """Check that a number is finite, and that an epsilon is above 0; `take_rope` checks those of `rope.*`."""
    if key.startswith("rope."):
        return True
    values = value if isinstance(value, list) else [value]
    numbers = [entry for entry in values if isinstance(entry, int | float)]
    return all(map(math.isfinite, numbers)) and not (key.endswith("epsilon") and any(entry <= 0 for entry in numbers))


def _take_biases(file: GgufFile, config: PreTrainedConfig) -> None:
    """Give the model the biases that the file has, where the configuration can turn them on."""
    for attribute, tensor in {"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_up.bias"}.items():
        if tensor in file.n_elements and getattr(config, attribute, None) is False:
            setattr(config, attribute, True)


def _has_window(pattern: Any, config: PreTrainedConfig) -> bool:
    layer_types = getattr(config, "layer_types", None)
    if layer_types is None:
        return False
    windows = [kind == "sliding_attention" for kind in layer_types]
    if isinstance(pattern, list):
        return windows == [bool(entry) for entry in pattern]
    return windows == [(layer + 1) % pattern != 0 for layer in range(len(windows))]


def _gguf_names(model: PreTrainedModel) -> set[str]:
    """Name the model's weights as its GGUF file does."""
    known = {name.replace("_", "").replace("-", ""): arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}
    model_type = model.config.model_type.removesuffix("_text").replace("_", "")
    architecture = known.get(model_type, gguf.MODEL_ARCH.LLAMA)
    names = gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)
    parts = [name.rpartition(".") for name in model.state_dict()]
    return {f"{names.get_name(stem)}.{kind}" for stem, _, kind in parts}


def _equal(stored: Any, value: Any) -> bool:
    if isinstance(value, float) and isinstance(stored, int | float):
        return math.isclose(stored, value, rel_tol=1e-6)
    return bool(stored == value)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
