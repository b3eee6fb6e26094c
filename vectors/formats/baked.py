"""A baked checkpoint: an ordinary Hugging Face directory in which the vector is a bias, so that no code steers.

    block L's MLP:  h + W m + b        becomes        h + W m + (b + s v)

which is output steering at every position, the prompt's included. Where the bias can stand is in `baked_places`.
Nothing is taken on trust: the written directory is loaded by plain transformers, and its logits on probe inputs are
compared with those of the given model under a hook that adds the vector, at every position, before the directory gets
its name. It is refused on any difference beyond rounding.
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
from ...rundir import InputError, atomic_path
from ..directions import Directions
from .baked_places import Place, place_for
from .check import check_fits
from .entry import Format
from .selection import Selection, select

PROBE_TOKENS = 24
SEED = 0
# Of the largest logit: what rounding makes of h + (W m + b + v) against (h + W m + b) + v.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
MANY_LOGITS = 4096  # positions in the second probe go up to here at most


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
    """Write `model` with one behaviour's vectors, times strength, as biases of `layers`, into the new directory `path`.

    Raises InputError where the directory is there already, the directions belong to another model (unless `force`),
    the architecture has no place for a bias, or the written checkpoint does not do what the hook does.
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
    selection = select(directions, behaviour, layers=layers, strength=strength)
    place = place_for(model.model)
    with atomic_path(path) as temporary, _quiet():
        _save(model, selection, place, temporary)
        _compare(model, selection, temporary)
        about = selection.origin() | {"layers": selection.layers, "notes": list(place.notes)}
        (temporary / "reasonlens.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


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
    """Say again what transformers 4 looks for under other names: it would take its own defaults without a word."""
    config = json.loads((directory / "config.json").read_text("utf-8"))
    rotary = config.get("rope_parameters") or {}
    if "rope_theta" in rotary:
        config.setdefault("rope_theta", rotary["rope_theta"])
        if rotary.get("rope_type", "default") != "default":
            config.setdefault("rope_scaling", {key: value for key, value in rotary.items() if key != "rope_theta"})
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    file = directory / "tokenizer_config.json"
    if file.is_file():
        about = json.loads(file.read_text("utf-8"))
        if about.get("tokenizer_class") == "TokenizersBackend":
            about["tokenizer_class"] = "PreTrainedTokenizerFast"
            about.setdefault("model_input_names", list(model.tokenizer.model_input_names))
            file.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _compare(model: LanguageModel, selection: Selection, directory: Path) -> None:
    """Raise InputError unless plain transformers, loading `directory`, gives the logits of the hooked model."""
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=model.model.dtype,
        attn_implementation=getattr(model.model.config, "_attn_implementation", None),
        output_loading_info=True,
    )
    baked, report = loaded
    baked = baked.to(model.device).eval()
    if report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"]:
        raise InputError(
            f"the baked checkpoint does not load as it was written (missing {sorted(report['missing_keys'])[:4]}, "
            f"unexpected {sorted(report['unexpected_keys'])[:4]}): nothing was kept"
        )
    for tokens, positions in _probes(model):
        with torch.no_grad(), ExitStack() as stack:
            found = _logits(baked, tokens, positions)
            for layer, row in selection.rows.items():
                stack.enter_context(_added(model.blocks[layer], row))
            expected = _logits(model.model, tokens, positions)
        error = float((found - expected).abs().max())
        allowed = TOLERANCE.get(model.model.dtype, 1e-4) * float(expected.abs().max())
        if not error <= allowed:  # NaN is no agreement either
            raise InputError(
                f"the baked checkpoint differs from steering with a hook by {error:.2e} in its logits (rounding would "
                f"be {allowed:.2e}): nothing was kept. Steer while it runs instead (reasonlens.steer)"
            )


def _probes(model: LanguageModel) -> Iterator[tuple[Int[Tensor, "rows tokens"], Int[Tensor, "rows tokens"] | None]]:
    """Random tokens at the first positions, and at the last ones that the context has, where positions can be given."""
    generator = torch.Generator().manual_seed(SEED)
    n_tokens = min(PROBE_TOKENS, model.context_tokens or PROBE_TOKENS)
    vocabulary = int(model.model.config.get_text_config(decoder=True).vocab_size)
    tokens = torch.randint(vocabulary, (2, n_tokens), generator=generator).to(model.device)
    yield tokens, None
    if model.takes_position_ids and model.context_tokens:
        last = min(model.context_tokens, MANY_LOGITS)
        yield tokens, torch.arange(last - n_tokens, last, device=model.device).expand(2, -1)


def _logits(
    model: Any, tokens: Int[Tensor, "rows tokens"], positions: Int[Tensor, "rows tokens"] | None
) -> Float[Tensor, "rows tokens vocabulary"]:
    given = {} if positions is None else {"position_ids": positions}
    logits: Tensor = model(tokens, attention_mask=torch.ones_like(tokens), use_cache=False, **given).logits
    return logits.float()


@contextmanager
def _added(block: torch.nn.Module, row: Float[Tensor, " d_model"]) -> Iterator[None]:
    """A plain hook that adds `row` to the block's output."""

    def add(_block: Any, _inputs: Any, output: Any) -> Any:
        acts = output[0] if isinstance(output, tuple) else output
        acts = acts + row.to(acts)
        return (acts, *output[1:]) if isinstance(output, tuple) else acts

    handle = block.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars of transformers."""
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
