"""Write a baked checkpoint: an ordinary Hugging Face directory with the vector as a bias, steered without any code.

    block L's MLP:  h + W m + b        becomes        h + W m + (b + s v)

This adds the vector at every position, those of the prompt included. `baked_places` finds the bias. Before the
directory gets its name, plain transformers loads it, and its logits on test inputs are compared with those of the model
under a hook that adds the vector at every position. Any difference beyond rounding is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from ...models import LanguageModel
from ...models.adapter import refuse_adapters
from ...models.one_pass import BlockHook, one_pass
from ...rundir import InputError, atomic_path
from .._directions import Directions
from .baked_places import Place, place_for
from .check import check_fits
from .entry import Format
from .selection import Selection, select

PROBE_TOKENS = 24
SEED = 0
# Relative to the largest logit: the rounding difference between h + (W m + b + v) and (h + W m + b) + v.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
MAX_POSITION = 4096  # positions of the second test input end here at the latest


def write(
    directions: Directions,
    path: str | Path,
    *,
    model: LanguageModel,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
    force: bool = False,
) -> None:
    """Write a model with one behaviour's vectors, times strength, as biases of some layers.

    Args:
        directions: The directions to take the vectors from.
        path: The directory to make; it must not exist.
        model: The model to write.
        behaviour: Which behaviour; may be left out where there is only one.
        layers: The 0-based blocks; may be left out where the directions cover only one.
        strength: In units of the mean residual norm; None adds the vectors as they are.
        force: Accept directions of another model of the same shape.

    Raises:
        InputError: The directory exists, the directions belong to another model, the architecture has no place for a
            bias, or the written checkpoint does not do what the hook does.
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path} is there already: give a directory that does not exist yet (--out)")
    check_fits(directions, model, force=force)
    if layers is None and len(directions.layers) > 1:
        raise InputError(
            f"name the layer to bake the vector into (--layer); there are directions at "
            f"{', '.join(map(str, directions.layers))}"
        )
    refuse_adapters(model.model, "a baked checkpoint")
    if model.vectors is not None:
        raise InputError(f"{model.name} adds vectors already, which a checkpoint cannot hold: bake into its base")
    selection = select(directions, behaviour, layers=layers, strength=strength)
    place = place_for(model.model)
    with atomic_path(path) as temporary, _quiet():
        _save(model, selection, place, temporary)
        _compare(model, selection, temporary)
        description = selection.origin() | {"layers": selection.layers, "notes": list(place.notes)}
        (temporary / "reasonlens.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def _save(model: LanguageModel, selection: Selection, place: Place, directory: Path) -> None:
    state = dict(model.model.state_dict())
    prefix = next(name for name, module in model.model.named_modules() if module is model.blocks)
    for layer, block in enumerate(model.blocks):
        for projection in place.new_biases:
            weight = block.get_submodule(projection).weight
            assert isinstance(weight, Tensor)
            state[f"{prefix}.{layer}.{projection}.bias"] = weight.new_zeros(weight.shape[0])
    for layer, row in selection.rows.items():
        key = f"{prefix}.{layer}.{place.projection}.bias"
        if key not in state:
            raise InputError(f"{type(model.model).__name__} has no {key} here, so that the vector has no place")
        bias = state[key]
        state[key] = (bias.double() + row.to(bias.device).double() / place.factor).to(bias.dtype)
    model.model.save_pretrained(directory, state_dict=state)
    model.tokenizer.save_pretrained(directory)
    place.config.architectures = [place.architecture]
    place.config.dtype = model.model.dtype
    place.config.save_pretrained(directory)
    _write_for_older_readers(directory, model)


def _write_for_older_readers(directory: Path, model: LanguageModel) -> None:
    """Repeat settings under the names of transformers 4, which would otherwise use its own defaults silently."""
    config = json.loads((directory / "config.json").read_text("utf-8"))
    rotary = config.get("rope_parameters") or {}
    if "rope_theta" in rotary:
        config.setdefault("rope_theta", rotary["rope_theta"])
        if rotary.get("rope_type", "default") != "default":
            config.setdefault("rope_scaling", {key: value for key, value in rotary.items() if key != "rope_theta"})
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    file = directory / "tokenizer_config.json"
    if file.is_file():
        settings = json.loads(file.read_text("utf-8"))
        if settings.get("tokenizer_class") == "TokenizersBackend":
            settings["tokenizer_class"] = "PreTrainedTokenizerFast"
            settings.setdefault("model_input_names", list(model.tokenizer.model_input_names))
            file.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _compare(model: LanguageModel, selection: Selection, directory: Path) -> None:
    """Raise InputError unless plain transformers, loading `directory`, gives the logits of the hooked model."""
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=model.model.dtype,
        attn_implementation=getattr(model.model.config, "_attn_implementation", None),
        output_loading_info=True,
        trust_remote_code=False,
    )
    baked, report = loaded
    baked = baked.to(model.device).eval()
    if report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"]:
        raise InputError(
            f"the baked checkpoint does not load as it was written (missing {sorted(report['missing_keys'])[:4]}, "
            f"unexpected {sorted(report['unexpected_keys'])[:4]}): nothing was kept"
        )
    for tokens, positions in _test_inputs(model):
        with torch.no_grad(), ExitStack() as stack:
            baked_logits = _logits(baked, tokens, positions)
            stack.enter_context(one_pass(model, {layer: _adding(row) for layer, row in selection.rows.items()}))
            expected = _logits(model.model, tokens, positions)
        error = float((baked_logits - expected).abs().max())
        allowed = TOLERANCE.get(model.model.dtype, 1e-4) * float(expected.abs().max())
        if not error <= allowed:  # true for NaN, too
            raise InputError(
                f"the baked checkpoint differs from steering with a hook by {error:.2e} in its logits (rounding would "
                f"be {allowed:.2e}): nothing was kept. Steer while it runs instead (reasonlens.steer)"
            )


def _test_inputs(
    model: LanguageModel,
) -> Iterator[tuple[Int[Tensor, "rows tokens"], Int[Tensor, "rows tokens"] | None]]:
    """Yield random tokens at the first positions and, where position ids can be passed, at the last of the context."""
    generator = torch.Generator().manual_seed(SEED)
    n_tokens = min(PROBE_TOKENS, model.context_tokens or PROBE_TOKENS)
    vocabulary = int(model.model.config.get_text_config(decoder=True).vocab_size)
    tokens = torch.randint(vocabulary, (2, n_tokens), generator=generator).to(model.device)
    yield tokens, None
    if model.takes_position_ids and model.context_tokens:
        last = min(model.context_tokens, MAX_POSITION)
        yield tokens, torch.arange(last - n_tokens, last, device=model.device).expand(2, -1)


def _logits(
    model: Any, tokens: Int[Tensor, "rows tokens"], positions: Int[Tensor, "rows tokens"] | None
) -> Float[Tensor, "rows tokens vocabulary"]:
    position_ids = {} if positions is None else {"position_ids": positions}
    logits: Tensor = model(tokens, attention_mask=torch.ones_like(tokens), use_cache=False, **position_ids).logits
    return logits.float()


def _adding(row: Float[Tensor, " d_model"]) -> BlockHook:
    """Make a hook that adds `row` to a block's output at every token."""

    def add(_block: Any, _inputs: Any, output: Any) -> Any:
        activations = output[0] if isinstance(output, tuple) else output
        activations = activations + row.to(activations)
        return (activations, *output[1:]) if isinstance(output, tuple) else activations

    return add


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the progress bars of transformers inside the block."""
    bar_was_on = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if bar_was_on:
            transformers_logging.enable_progress_bar()


FORMAT = Format(
    name="baked",
    about="a Hugging Face directory with the vector as a bias: any transformers or vLLM loads it",
    suffix="",
    index="a bias in block L",
    coefficient="fixed when written: strength x the mean residual norm, at every token",
    write=write,
    needs_model=True,
)
