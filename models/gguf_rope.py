"""Take the rotary embedding of a GGUF file into a Hugging Face configuration.

llama.cpp turns position p at pair i by p * base^(-2i/d) / (s * f_i). `s` is `rope.scaling.factor`; the factors `f`
stand in `rope_freqs.weight` (Llama 3.1 and later) or in `rope_factors_long/short.weight` (LongRoPE, Ding et al. 2024,
arXiv 2402.13753). YaRN (Peng et al. 2023, arXiv 2309.00071) computes them from its settings. The parameters are those
with which transformers turns by the same angles; a file that has no such parameters is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from transformers import PreTrainedConfig

from .gguf_settings import GgufFile, head_widths

# Of Llama 3.1, 3.2 and 3.3; the file holds only the factors that were computed from them.
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
HIDDEN = 1e20  # a factor from this on makes the angle zero
YARN_BETAS = {"yarn_beta_fast": "beta_fast", "yarn_beta_slow": "beta_slow"}
# Further factors and the values with which they do nothing.
UNUSED = {
    "yarn_ext_factor": (-1.0, 1.0),
    "yarn_attn_factor": (1.0,),
    "yarn_log_multiplier": (0.0,),
    "alpha": (0.0, 1.0),
}

FREQUENCIES = ("rope_freqs.weight",)  # infinity is a factor that stops a pair
LONG_ROPE = ("rope_factors_long.weight", "rope_factors_short.weight")
# Settings that are numbers above 0; those of the second line may be 0, which is to leave them out.
POSITIVE = {"freq_base", "freq_base_swa", "dimension_count", "dimension_count_swa"}
ZERO_IS_UNSET = {"scaling.factor", "scale_linear", "scaling.original_context_length", "scaling.attn_factor"}
POSITIVE |= ZERO_IS_UNSET | {f"scaling.{key}" for key in YARN_BETAS}


def take_rope(file: GgufFile, config: PreTrainedConfig) -> None:
    """Put the rotary embedding of a file into the configuration that transformers made of it, in place.

    Raises:
        InputError: The configuration cannot hold it.
    """
    settings = {key.removeprefix("rope."): value for key, value in file.settings.items() if key.startswith("rope.")}
    if unsound := _unsound(settings, file.rope):
        raise file.refuse_values(unsound)
    stored: dict[str, Any] | None = getattr(config, "rope_parameters", None)
    if not stored:
        if file.rope or any(key.startswith(("scal", "freq")) for key in settings):
            raise file.refuse([f"rope.{key} = {value}" for key, value in settings.items()] or [*file.rope])
        return
    layered = "full_attention" in stored
    parameters: dict[str, Any] = dict(stored["full_attention"] if layered else stored)
    refused = _take_width(settings, parameters, config)
    if "freq_base" in settings:
        parameters["rope_theta"] = settings.pop("freq_base")
    windowed = dict(stored["sliding_attention"]) if layered and "sliding_attention" in stored else None
    if "freq_base_swa" in settings:
        base = settings.pop("freq_base_swa")
        if windowed is not None:
            windowed["rope_theta"] = base
        elif base != parameters["rope_theta"]:
            refused.append(f"rope.freq_base_swa = {base}")
    sections = settings.pop("dimension_sections", None)
    if sections is not None and [size for size in sections if size] != parameters.get("mrope_section"):
        refused.append(f"rope.dimension_sections = {sections}")
    scaling = {key.removeprefix("scaling."): value for key, value in settings.items()}
    refused += _take_scaling(scaling, file.rope, parameters, config)
    if refused:
        raise file.refuse(refused)
    if layered:
        others = {} if windowed is None else {"sliding_attention": windowed}
        config.rope_parameters = stored | others | {"full_attention": parameters}
    else:
        config.rope_parameters = parameters
    if "original_max_position_embeddings" in parameters and hasattr(config, "original_max_position_embeddings"):
        config.original_max_position_embeddings = parameters["original_max_position_embeddings"]


def _unsound(settings: dict[str, Any], tensors: Mapping[str, Float[np.ndarray, " rotary_half"]]) -> list[str]:
    """Return the settings and tensors with numbers that are not finite and above 0, as angles need them."""
    wrong = [
        f"rope.{key} = {value}"
        for key, value in settings.items()
        if key in POSITIVE and not _is_positive(value) and not (key in ZERO_IS_UNSET and value == 0)
    ]
    wrong += [name for name in LONG_ROPE if name in tensors and not all(map(_is_positive, tensors[name].tolist()))]
    return wrong + [name for name in FREQUENCIES if name in tensors and not (tensors[name] > 0).all()]


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _take_width(settings: dict[str, Any], parameters: dict[str, Any], config: PreTrainedConfig) -> list[str]:
    """Take how many of a head's dimensions are turned; return what cannot be taken."""
    full, windowed = head_widths(config)
    refused = []
    width = settings.pop("dimension_count", None)
    if width is not None and "partial_rotary_factor" in parameters and parameters.get("rope_type") != "proportional":
        parameters["partial_rotary_factor"] = width / full
    elif width is not None and width != getattr(config, "rotary_dim", full):
        refused.append(f"rope.dimension_count = {width} (a head has {full})")
    width = settings.pop("dimension_count_swa", windowed)
    if width != windowed:
        refused.append(f"rope.dimension_count_swa = {width}")
    return refused


def _take_scaling(
    scaling: dict[str, Any],
    tensors: Mapping[str, Float[np.ndarray, " rotary_half"]],
    parameters: dict[str, Any],
    config: PreTrainedConfig,
) -> list[str]:
    """Take the scaling of the angles; return what cannot be taken."""
    factor = float(scaling.pop("factor", 0.0) or scaling.pop("scale_linear", 0.0) or 1.0)
    scaling.pop("scale_linear", None)
    scaling.pop("finetuned", None)
    kind = scaling.pop("type", "linear")
    original = int(scaling.pop("original_context_length", 0)) or config.max_position_embeddings
    attention_factor = scaling.pop("attn_factor", None)
    betas = {name: scaling.pop(key) for key, name in YARN_BETAS.items() if key in scaling}
    refused = [f"rope.scaling.{key} = {value}" for key, value in scaling.items() if value not in UNUSED.get(key, ())]
    long, short = (tensors.get(f"rope_factors_{length}.weight") for length in ("long", "short"))
    frequencies = tensors.get("rope_freqs.weight")
    if kind not in ("none", "linear", "yarn", "longrope"):
        return [*refused, f"rope.scaling.type = {kind}"]
    if long is not None and short is not None:
        if kind == "yarn" or factor != 1.0 or frequencies is not None:
            return [*refused, f"rope.scaling.type = {kind} together with rope_factors_long.weight"]
        parameters |= {
            "rope_type": "longrope",
            "long_factor": _floats(long),
            "short_factor": _floats(short),
            "original_max_position_embeddings": original,
        }
        if attention_factor:
            parameters["attention_factor"] = float(attention_factor)
        return refused
    if kind == "longrope" or long is not None or short is not None:
        return [*refused, "rope.scaling.type = longrope without rope_factors_long.weight and rope_factors_short.weight"]
    if attention_factor not in (None, 0.0, 1.0):
        refused.append(f"rope.scaling.attn_factor = {attention_factor}")
    if kind == "yarn" and factor != 1.0:
        if frequencies is not None and not np.all(frequencies == 1):
            refused.append("rope_freqs.weight together with rope.scaling.type = yarn")
        extent = {"factor": factor, "original_max_position_embeddings": original}
        parameters |= {"rope_type": "yarn"} | extent | {name: float(value) for name, value in betas.items()}
    elif frequencies is not None and not np.all(frequencies == 1):
        refused += _take_frequencies(frequencies, factor if kind == "linear" else 1.0, parameters, config)
    elif kind == "linear" and factor != 1.0:
        parameters |= {"rope_type": "linear", "factor": factor}
    return refused


def _take_frequencies(
    factors: Float[np.ndarray, " rotary_half"], linear: float, parameters: dict[str, Any], config: PreTrainedConfig
) -> list[str]:
    """Take `rope_freqs.weight`: as the scaling of Llama 3 if that gives these factors, else as they are."""
    full, _ = head_widths(config)
    if parameters["rope_type"] == "proportional":  # the first pairs are turned, the others stand still
        n_turned = int(parameters.get("partial_rotary_factor", 1.0) * full // 2)
        proportional = linear == 1.0 and np.all(factors[:n_turned] == 1) and np.all(factors[n_turned:] >= HIDDEN)
        return [] if proportional else ["rope_freqs.weight"]
    width = int(full * parameters.get("partial_rotary_factor", 1.0))
    if len(factors) != width // 2 or not np.all(np.isfinite(factors)) or not np.all(factors > 0):
        return [f"rope_freqs.weight (of {len(factors)} factors, where {width // 2} pairs are turned)"]
    angles = parameters["rope_theta"] ** -(np.arange(0, width, 2) / width)
    factor = float(factors.max())
    if linear == 1.0 and np.allclose(_llama3_factors(angles, factor), factors, rtol=1e-4):
        parameters |= {"rope_type": "llama3", "factor": factor} | LLAMA3
        return []
    parameters |= {
        "rope_type": "longrope",  # which divides the angles by any factors, here the same for any length
        "long_factor": _floats(factors * linear),
        "short_factor": _floats(factors * linear),
        "attention_factor": 1.0,
        "original_max_position_embeddings": config.max_position_embeddings,
    }
    return []


def _llama3_factors(angles: Float[np.ndarray, " rotary_half"], factor: float) -> Float[np.ndarray, " rotary_half"]:
    low, high = LLAMA3["low_freq_factor"], LLAMA3["high_freq_factor"]
    turns = LLAMA3["original_max_position_embeddings"] * angles / (2 * math.pi)  # within the context of the training
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return 1 / ((1 - smooth) / factor + smooth)


def _floats(factors: Float[np.ndarray, " rotary_half"]) -> list[float]:
    return [float(factor) for factor in factors]
