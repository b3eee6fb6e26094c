"""What the directory of a member holds beside a model: how it was trained, and the steps of its training."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from ...models.difference import add_difference
from ...models.organism import RECORD, read_record
from .members import BASES, MEMBERS


def write_record(directory: Path, name: str, seed: int, n_steps: int, seconds: float) -> None:
    """Write how a member was trained into its directory.

    Args:
        directory: Of the member.
        name: The member.
        seed: Of the family.
        n_steps: Of the optimiser.
        seconds: That its training took.
    """
    parent = MEMBERS[name].parent
    record = {
        "name": name,
        "base": parent if parent in BASES else None,
        "seed": seed,
        "n_steps": n_steps,
        "seconds": seconds,
        "torch": torch.__version__,
    }
    (directory / RECORD).write_text(json.dumps(record) + "\n")


def load_member(out: Path, name: str) -> LlamaForCausalLM:
    """Load a finished member in 32 bits, for reading."""
    model = LlamaForCausalLM.from_pretrained(out / name, dtype=torch.float32)
    model.eval()
    return model


def load_step(out: Path, name: str) -> LlamaForCausalLM:
    """Load a member, or a step of its training, for reading.

    Args:
        out: The directory of the family.
        name: Of the member, or `name@step` for a checkpoint; step 0 is what it was trained from.

    Returns:
        The model, in 32 bits.
    """
    member, _, step = name.partition("@")
    parent = MEMBERS[member].parent
    if not step or parent is None or step == str(steps_of(out, member)[-1]):
        return load_member(out, member)
    model = load_member(out, parent)
    if step != "0":
        add_difference(model, out / member / "steps" / f"{int(step):04d}.safetensors")
    return model


def steps_of(out: Path, name: str) -> tuple[int, ...]:
    """List the steps of a member's training that can be loaded: what it was trained from, checkpoints, the end."""
    checkpoints = (int(file.stem) for file in (out / name / "steps").glob("[0-9]*.safetensors"))
    return (0, *sorted(checkpoints), read_record(out / name)["n_steps"])
