"""Find the decoder blocks of a Hugging Face causal language model, whatever the architecture calls them.

Llama, Qwen, Mistral, Gemma and Phi have them at `model.layers`, GPT-2 at `transformer.h`, GPT-NeoX at
`gpt_neox.layers`, OPT at `model.decoder.layers`. One rule covers all of these: the blocks are the outermost
ModuleList, inside the decoder, with as many members as the configuration says the model has layers. The decoder is what
`get_decoder` returns: a vision or audio tower may be as deep.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..rundir import InputError


def find_body(model: PreTrainedModel) -> nn.Module:
    """Find the model without its language-model head, which is called when only activations are needed."""
    body = model.base_model
    if not isinstance(body, nn.Module):
        raise InputError(f"{type(model).__name__} has no body (base_model); give a causal language model")
    return body


def find_decoder(model: PreTrainedModel) -> nn.Module:
    """Find the part of the body that holds the decoder blocks; the body itself in a model of text alone."""
    decoder = model.get_decoder()
    return decoder if isinstance(decoder, nn.Module) else find_body(model)


def find_blocks(model: PreTrainedModel) -> nn.ModuleList:
    """Find the decoder blocks in order: block L's output is the residual stream at layer L.

    Raises InputError for encoder-decoder models, and for a model without a list of the right length.
    """
    name = type(model).__name__
    config = model.config.get_text_config(decoder=True)
    if getattr(model.config, "is_encoder_decoder", False):
        raise InputError(f"{name} is an encoder-decoder model; reasonlens reads decoder-only language models")
    n_layers = getattr(config, "num_hidden_layers", None)
    lists = [
        (path, module) for path, module in find_decoder(model).named_modules() if isinstance(module, nn.ModuleList)
    ]
    candidates = [(path, module) for path, module in lists if len(module) == n_layers]
    if not candidates:
        lists_found = ", ".join(f"{path} ({len(module)})" for path, module in lists) or "none"
        raise InputError(
            f"cannot find the decoder blocks of {name}: its configuration speaks of {n_layers} layers, and no module "
            f"list of that length stands in its body (lists found: {lists_found}). Build a reasonlens.LanguageModel "
            "with blocks=<your list of blocks> yourself."
        )
    depth = min(path.count(".") for path, _ in candidates)
    outermost = [(path, module) for path, module in candidates if path.count(".") == depth]
    if len(outermost) > 1:
        paths = ", ".join(path for path, _ in outermost)
        raise InputError(
            f"cannot tell which of {paths} holds the decoder blocks of {name}: each has {n_layers} members. "
            "Build a reasonlens.LanguageModel with blocks=<your list of blocks> yourself."
        )
    return outermost[0][1]


def block_output(output: Any) -> Float[Tensor, "batch position d_model"]:
    """Return the residual stream from a block's output, which some architectures wrap into a tuple."""
    hidden = output[0] if isinstance(output, tuple) else output
    if not isinstance(hidden, Tensor):
        raise TypeError(f"a decoder block returned {type(hidden).__name__}, expected a tensor or a tuple of tensors")
    if hidden.ndim != 3:
        raise InputError(
            f"a decoder block returned a tensor of shape {tuple(hidden.shape)}, expected (batch, position, d_model): "
            "this architecture keeps several residual streams, which reasonlens does not read"
        )
    return hidden
