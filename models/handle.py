"""Hold a language model for every other part of reasonlens: model, tokenizer, body and blocks."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..rundir import InputError, content_digest, looked_at, shown
from .adapter import adapter_state
from .addition import additions_digest, additions_of, with_additions
from .blocks import find_blocks, find_body
from .bridge import make_bridge
from .cache_argument import BEFORE, cache_argument
from .fingerprint import weights_fingerprint

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False, kw_only=True)
class LanguageModel:
    """A Hugging Face causal language model and its parts.

    Layer L, everywhere in reasonlens, is `blocks[L]`, and its activations are that block's output (0-based).
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    body: nn.Module  # the model without its head
    blocks: nn.ModuleList
    name: str
    revision: str | None = None  # commit of the hub repository, or digest of the file it was converted from
    bridged: tuple[str, str] | None = None  # fingerprints: a bridge's when it was made, its model's

    @property
    def n_layers(self) -> int:
        """The number of blocks."""
        return len(self.blocks)

    @property
    def d_model(self) -> int:
        """The width of the residual stream."""
        return int(self.model.config.get_text_config(decoder=True).hidden_size)

    @property
    def device(self) -> torch.device:
        """The device that token ids go to: that of the input embedding, also if blocks are on several devices."""
        weight = next(self.model.get_input_embeddings().parameters())
        if weight.device.type == "meta":  # offloaded: accelerate moves inputs to the execution device itself
            return (
                torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
            )
        return weight.device

    @property
    def output_device(self) -> torch.device:
        """The device of the last block, and so of the body's output; that of the embedding unless there are several."""
        weight = next(self.blocks[-1].parameters(), None)
        return self.device if weight is None or weight.device.type == "meta" else weight.device

    @property
    def context_tokens(self) -> int | None:
        """The longest sequence that the model was built for; None if its configuration does not state it."""
        limit = getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        return int(limit) if limit and limit > 0 else None

    @cached_property
    def n_token_embeddings(self) -> int:
        """The number of token ids that the input embedding has a row for."""
        embedding = self.model.get_input_embeddings()
        return int(getattr(embedding, "num_embeddings", 0) or next(embedding.parameters()).shape[0])

    def check_token_ids(self, token_ids: Int[np.ndarray, " n_tokens"], text: str) -> None:
        """Check that the input embedding has a row for every token.

        Args:
            token_ids: What the tokenizer made of a text.
            text: What to call the text in the message.

        Raises:
            InputError: A token is beyond the embedding, or the tokenizer has no number for it.
        """
        beyond = (token_ids < 0) | (token_ids >= self.n_token_embeddings)
        if beyond.any():
            token = int(token_ids[beyond][0])
            word = self.tokenizer.convert_ids_to_tokens([token])[0]
            raise InputError(
                f"{text} has the token {token} ({word!r}), and the embedding of {self.name} has "
                f"{self.n_token_embeddings} rows: is the tokenizer that of another model? If tokens were added, resize "
                "the model before it is tuned and saved: model.resize_token_embeddings(len(tokenizer))."
            )

    @cached_property
    def takes_position_ids(self) -> bool:
        """Whether the body's forward has a `position_ids` argument (some architectures compute positions)."""
        return "position_ids" in inspect.signature(self.body.forward).parameters

    @cached_property
    def takes_cache(self) -> bool:
        """Whether passes take keys and values of earlier tokens; a model that does not (RWKV) may not heed padding."""
        return cache_argument(self.model) is not None

    @cached_property
    def cache_name(self) -> str:
        """The argument of a pass that takes keys and values of earlier tokens, as this transformers names it."""
        return cache_argument(self.model) or BEFORE

    def layer_index(self, layer: int) -> int:
        """Convert a layer to a 0-based number.

        Args:
            layer: The layer; negative ones count from the end.

        Returns:
            The number of the block.

        Raises:
            InputError: The layer is not a whole number, or does not exist.
        """
        layer = whole_layer(layer)
        if not -self.n_layers <= layer < self.n_layers:
            raise InputError(
                f"layer {layer} does not exist: {self.name} has {self.n_layers} blocks (0..{self.n_layers - 1}). "
                "Negative layers count from the end."
            )
        return layer % self.n_layers

    @property
    def vectors(self) -> Float[Tensor, "n_layers d_model"] | None:
        """What each block adds to its output at every token, float32 (`with_vectors`); None where none does."""
        additions = additions_of(self.blocks)
        if not additions:
            return None
        zeros = torch.zeros(self.d_model, device=self.device)
        return torch.stack([additions.get(layer, zeros).to(self.device) for layer in range(self.n_layers)])

    def with_vectors(
        self,
        vectors: Float[Tensor, "n_layers d_model"] | Mapping[int, Float[Tensor, " d_model"]],
        *,
        name: str | None = None,
    ) -> LanguageModel:
        """Make a model of the same weights that adds vectors to the outputs of its blocks, at every token.

        This handle stays as it is. Weights are shared: changed in place, they change in both.

        Args:
            vectors: One row a block, in the units of the residual stream; they are copied, and blocks of zeros left
                out. Or block -> vector, each used as it is and where it is, so that it can be trained: its gradient
                comes from the model's outputs, and the next pass reads its new values.
            name: What to call the model; None: the name of this one with a digest of the vectors.

        Returns:
            The model with vectors, in addition to those that this one adds already.

        Raises:
            InputError: The vectors do not fit the model or are not finite, or adapters act in it.
        """
        if not isinstance(vectors, Mapping):
            _check_vectors(vectors, self.n_layers, self.d_model, self.name)
            own = vectors.detach().float().clone()
            vectors = {layer: own[layer] for layer in range(self.n_layers) if bool(own[layer].any())}
        vectors = {self.layer_index(layer): vector for layer, vector in vectors.items()}
        for layer, vector in vectors.items():
            if vector.shape != (self.d_model,):
                raise InputError(
                    f"the vector of block {layer} has shape {tuple(vector.shape)}, and {self.name} is {self.d_model} "
                    "wide: vectors of another model?"
                )
        steered = with_additions(self.model, vectors, self.name)
        blocks = find_blocks(steered)
        return LanguageModel(
            model=steered,
            tokenizer=self.tokenizer,
            body=find_body(steered),
            blocks=blocks,
            name=name or f"{self.name}+{additions_digest(blocks) or 'no vectors'}",
            revision=self.revision,
        )

    def to_bridge(self) -> TransformerBridge:
        """Make a TransformerLens model from a copy (TransformerLens changes the model that it wraps).

        Its attention is eager, so activations equal those of a Hugging Face model with
        `attn_implementation="eager"` exactly, and those of the default attention to kernel rounding.
        """
        return make_bridge(
            self.model, self.tokenizer, name=self.name, device=str(self.device), fingerprint=self.fingerprint
        )

    def _repr_html_(self) -> str:
        """Show what the model is."""
        from ..figures.notebook import object_html

        config = self.model.config.get_text_config(decoder=True)
        facts = {
            "architecture": type(self.model).__name__,
            "blocks": self.n_layers,
            "d_model": self.d_model,
            "heads": getattr(config, "num_attention_heads", "–"),
            "tokens": self.n_token_embeddings,
            "context": self.context_tokens or "–",
            "parameters": f"{sum(weight.numel() for weight in self.model.parameters()):,}",
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": str(self.device),
            "vectors added": "no" if not additions_of(self.blocks) else "yes",
        }
        table = pd.DataFrame.from_dict({name: [value] for name, value in facts.items()}, orient="index", columns=[""])
        return object_html(repr(self), {self.name: table})

    @looked_at(".identity(), .blocks, .tokenizer")
    def __repr__(self) -> str:
        revision = f"@{self.revision[:8]}" if self.revision else ""
        return f"LanguageModel({self.name}{revision}: {self.n_layers} blocks, d_model {self.d_model}, {self.device})"

    @property
    def fingerprint(self) -> str:
        """A digest of a sample of every weight; other weights of the same shape have another one.

        Weights that accelerate has offloaded count by name and shape only. Which adapters act in the model at the
        moment counts as well, and vectors that blocks add. It is made anew each time, since weights can be changed in
        place.
        """
        adapters = adapter_state(self.model)
        weights = weights_fingerprint(self.model)
        if self.bridged is not None and weights == self.bridged[0]:
            weights = self.bridged[1]
        rest = [part for part in (adapters, additions_digest(self.blocks)) if part is not None]
        return content_digest([weights, *rest]) if rest else weights

    def identity(self) -> dict[str, Any]:
        """Collect name, revision, shape, fingerprint, active adapters, added vectors, for the provenance of results."""
        adapters, vectors = adapter_state(self.model), additions_digest(self.blocks)
        stated = {} if adapters is None else {"adapters": adapters["active"]}
        return {
            "name": self.name,
            "revision": self.revision,
            "architecture": type(self.model).__name__,
            "n_layers": self.n_layers,
            "d_model": self.d_model,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "fingerprint": self.fingerprint,
        } | (stated if vectors is None else stated | {"vectors": vectors})


def whole_layer(layer: object) -> int:
    """Convert the number of a layer to an int.

    Args:
        layer: A whole number of any type.

    Returns:
        The number.

    Raises:
        InputError: It is not a whole number; True and 1.0 are not either.
    """
    try:
        if isinstance(layer, bool | np.bool_):
            raise TypeError
        return operator.index(layer)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"a layer is a whole number, such as 12, and not {shown(layer)}") from None


def _check_vectors(vectors: object, n_layers: int, d_model: int, name: str) -> None:
    """Check that vectors have one row for each block of a model, and are finite."""
    if not isinstance(vectors, Tensor) or vectors.is_complex() or vectors.is_meta:
        raise InputError(f"vectors are a tensor of (n_layers, d_model), not {shown(vectors)}")
    if vectors.shape != (n_layers, d_model):
        raise InputError(
            f"vectors of shape {tuple(vectors.shape)} do not fit {name}, which has {n_layers} blocks and is {d_model} "
            f"wide: give one row a block, ({n_layers}, {d_model})"
        )
    if not bool(vectors.isfinite().all()):
        layer = int((~vectors.isfinite()).any(dim=1).nonzero()[0])
        raise InputError(f"the vector of block {layer} holds NaN or infinity; it would spoil all that follows")
