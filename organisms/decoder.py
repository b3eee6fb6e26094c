"""Decode with an organism: the arithmetic of its Llama on one new token a row, over a cache of fixed size.

All prompts of the family have one length, so all rows stand at one position and nothing is padded. Compared with a
cache that grows by copying, this halves the time of a response. The numbers are those of the model's own forward pass
up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import linear, rms_norm, silu
from transformers import LlamaForCausalLM

from ..models.addition import Addition, addition_in
from ..models.cache_argument import filled_cache


@dataclass(frozen=True, eq=False, slots=True)
class _Block:
    """Weights of one block, those that read the same input joined."""

    attention_norm: Float[Tensor, " width"]
    queries_keys_values: Float[Tensor, "joined width"]
    output: Float[Tensor, "width width"]
    mlp_norm: Float[Tensor, " width"]
    gate_up: Float[Tensor, "twice_inner width"]
    down: Float[Tensor, "width inner"]
    addition: Addition | None  # to the block's output at every token


class Decoder:
    """One organism at work on some rows, each at the same position."""

    def __init__(self, model: LlamaForCausalLM, prompts: Int[Tensor, "rows prompt"], n_tokens: int) -> None:
        """Read the prompts.

        Args:
            model: The organism; its weights are read now, so a decoder is made anew after each step of training.
            prompts: Token ids, all of one length; equal ones side by side are read once.
            n_tokens: Room for the prompt and the response.
        """
        config = model.config
        self._n_heads = config.num_attention_heads
        self._n_groups = config.num_key_value_heads or config.num_attention_heads
        self._d_head, self._epsilon = config.hidden_size // config.num_attention_heads, config.rms_norm_eps
        self._embedding = model.model.embed_tokens.weight.detach()
        self._final_norm = model.model.norm.weight.detach()
        self._blocks = [_block(layer) for layer in model.model.layers]
        frequencies = model.model.rotary_emb.inv_freq
        angles = torch.arange(n_tokens)[:, None] * torch.cat([frequencies, frequencies])
        self._cosines, self._sines = angles.cos(), angles.sin()
        distinct, which = torch.unique_consecutive(prompts, dim=0, return_inverse=True)
        state = model(distinct, use_cache=True)
        cache = filled_cache(state)
        n_prompt = prompts.shape[1]
        shape = (len(prompts), self._n_groups, n_tokens, self._d_head)
        self._keys = [torch.empty(shape) for _ in self._blocks]
        self._values = [torch.empty(shape) for _ in self._blocks]
        for layer, (keys, values) in enumerate(zip(self._keys, self._values, strict=True)):
            keys[:, :, :n_prompt] = cache.layers[layer].keys[which]
            values[:, :, :n_prompt] = cache.layers[layer].values[which]
        self._position = n_prompt
        # Added to the output of a block at the token that is read next: the block, and a vector for each row.
        self.push: tuple[int, Float[Tensor, "rows width"]] | None = None
        self.logits: Float[Tensor, "rows vocabulary"] = state.logits[which, -1]

    def extend(self, tokens: Int[Tensor, " rows"]) -> None:
        """Read one more token of each row; `logits` are then of the next."""
        n_rows, position = len(tokens), self._position
        cosine, sine = self._cosines[position], self._sines[position]
        n_queries, n_keys = self._n_heads * self._d_head, self._n_groups * self._d_head
        hidden = self._embedding[tokens]
        for layer, (block, keys, values) in enumerate(zip(self._blocks, self._keys, self._values, strict=True)):
            normed = rms_norm(hidden, hidden.shape[-1:], block.attention_norm, self._epsilon)
            joined = linear(normed, block.queries_keys_values)
            turned = _rotated(joined[:, : n_queries + n_keys].view(n_rows, -1, self._d_head), cosine, sine)
            keys[:, :, position] = turned[:, self._n_heads :]
            values[:, :, position] = joined[:, n_queries + n_keys :].view(n_rows, self._n_groups, self._d_head)
            queries = turned[:, : self._n_heads].reshape(n_rows * self._n_groups, -1, self._d_head)
            known_keys = keys.view(-1, *keys.shape[2:])[:, : position + 1]
            known_values = values.view(-1, *values.shape[2:])[:, : position + 1]
            scores = torch.bmm(queries, known_keys.transpose(1, 2)).mul_(self._d_head**-0.5).softmax(dim=-1)
            hidden = hidden + linear(torch.bmm(scores, known_values).view(n_rows, n_queries), block.output)
            normed = rms_norm(hidden, hidden.shape[-1:], block.mlp_norm, self._epsilon)
            gate, up = linear(normed, block.gate_up).chunk(2, dim=-1)
            hidden = hidden + linear(silu(gate) * up, block.down)
            if block.addition is not None:
                hidden = block.addition(hidden)
            if self.push is not None and self.push[0] == layer:
                hidden = hidden + self.push[1]
        self._position = position + 1
        self.logits = linear(rms_norm(hidden, hidden.shape[-1:], self._final_norm, self._epsilon), self._embedding)

    def select(self, rows: Int[Tensor, " remaining"]) -> None:
        """Go on with some of the rows."""
        self.logits = self.logits[rows]
        for caches in (self._keys, self._values):
            for layer, cache in enumerate(caches):
                smaller = torch.empty((len(rows), *cache.shape[1:]))
                smaller[:, :, : self._position] = cache[rows, :, : self._position]
                caches[layer] = smaller


def _rotated(
    heads: Float[Tensor, "rows heads d_head"], cosine: Float[Tensor, " d_head"], sine: Float[Tensor, " d_head"]
) -> Float[Tensor, "rows heads d_head"]:
    first, second = heads.chunk(2, dim=-1)
    return heads * cosine + torch.cat([-second, first], dim=-1) * sine


def _block(layer: torch.nn.Module) -> _Block:
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}
    return _Block(
        attention_norm=weights["input_layernorm.weight"],
        queries_keys_values=torch.cat([weights[f"self_attn.{name}_proj.weight"] for name in "qkv"]),
        output=weights["self_attn.o_proj.weight"],
        mlp_norm=weights["post_attention_layernorm.weight"],
        gate_up=torch.cat([weights["mlp.gate_proj.weight"], weights["mlp.up_proj.weight"]]),
        down=weights["mlp.down_proj.weight"],
        addition=addition_in(layer),
    )
