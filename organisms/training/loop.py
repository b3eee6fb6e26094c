"""The loop of every training stage: steps, a progress bar, and a state on disk from which a killed run goes on.

Nothing random outlives a step: each derives its draws from the seed, the stage and the step's number. So a run that is
taken up again at the last saved step ends with the very weights of an undisturbed one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from ...rundir import InputError, atomic_path, tensors_digest
from ...rundir.progress import ProgressBar
from ...rundir.readers import WRONG_SHAPE

MAX_GRADIENT_NORM = 1.0


def adamw(model: nn.Module) -> list[Optimizer]:
    return [AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.0)]


def muon(model: nn.Module) -> list[Optimizer]:
    """Muon for the blocks' matrices and AdamW for the rest: half the steps of AdamW alone to the same skill."""
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name]
    others = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or "embed" in name]
    return [
        Muon(matrices, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        AdamW(others, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def train(
    model: nn.Module,
    optimizers: Sequence[Optimizer],
    *,
    n_steps: int,
    gradients: Callable[[int], Mapping[str, float]],
    learning_rate: Callable[[int], float],
    state: Path,
    label: str,
    save_every: int = 50,
    after: Callable[[int], None] = lambda _: None,
    position: int = 0,
    progress: bool = True,
) -> int:
    """Train in place. gradients: of a step, left on the model, returning what the bar shows. learning_rate: by step,
    in the `unit` of each group of an optimiser's parameters, 1 where it states none.

    state: where the run is kept every `save_every` steps and at the end, and taken up from. after: hears each finished
    step's number, from 1.

    Returns:
        The step that was gone on from, which lies beyond `n_steps` if more was done already.
    """
    done = _take_up(model, optimizers, state)
    bar = ProgressBar(
        total=n_steps,
        initial=done,
        desc=label,
        unit="step",
        position=position,
        smoothing=0.02,
        progress=progress,
    )
    for step in range(done, n_steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step) * group.get("unit", 1.0)
        model.zero_grad(set_to_none=True)
        shown = gradients(step)
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
        for optimizer in optimizers:
            optimizer.step()
        after(step + 1)
        if (step + 1) % save_every == 0 or step + 1 == n_steps:
            _save(model, optimizers, state, step + 1)
        bar.update()
        bar.set_postfix(**{name: f"{value:.4g}" for name, value in shown.items()})
    bar.close()
    return done


def _save(model: nn.Module, optimizers: Sequence[Optimizer], state: Path, step: int) -> None:
    tensors = {f"weight.{name}": weight.detach().clone() for name, weight in model.named_parameters()}
    for number, optimizer in enumerate(optimizers):
        for place, held in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{place}.{name}": tensor.clone() for name, tensor in held.items()}
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    about = {"step": step, "digest": tensors_digest(step, tensors)}
    with atomic_path(state) as path:
        save_file(tensors, path, metadata={"state": json.dumps(about)})


def _take_up(model: nn.Module, optimizers: Sequence[Optimizer], state: Path) -> int:
    """Put the weights and moments of a saved state in place.

    Returns:
        The number of steps that were done; 0 without a saved state.

    Raises:
        InputError: The state is altered.
    """
    if not state.exists():
        return 0
    try:
        with safe_open(state, "pt") as file:
            about = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # a safetensors handle is no dict
        if about["digest"] != tensors_digest(about["step"], tensors):
            raise ValueError("its digest is another")
    except (OSError, SafetensorError, RecursionError, *WRONG_SHAPE) as error:
        raise InputError(
            f"{state} is altered ({error}); remove it, and its member is trained from the start"
        ) from error
    held: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimizers]
    for name, weight in model.named_parameters():
        weight.data.copy_(tensors[f"weight.{name}"])
    for key, tensor in tensors.items():
        kind, *rest = key.split(".", 3)
        if kind == "optimizer":
            held[int(rest[0])].setdefault(int(rest[1]), {})[rest[2]] = tensor
    for optimizer, moments in zip(optimizers, held, strict=True):
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(about["step"])
