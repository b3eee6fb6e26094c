"""Name the command that steers with directions which were just written, in a way that works for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reasonlens.cli.console import next_command

if TYPE_CHECKING:
    from reasonlens.vectors import Directions

QUESTION = "What is 17 times 23?"
ORGANISM_PROBLEM = "numbers 3 red 12 red 7 blue 9 red 20 blue . target 19 ."  # all that an organism can read


def next_steer_write(vectors: Path, directions: Directions, behaviour: str, layer: int) -> None:
    """Print `reasonlens steer write` with a prompt that the model can read.

    Directions that were read before a sentence steer where sentences begin; where mean residual norms are not known,
    strengths are absolute.

    Args:
        vectors: The file of the directions.
        directions: The directions in it.
        behaviour: Whose direction steers.
        layer: 0-based block.
    """
    from reasonlens.models.organism import PREFIX

    is_organism = str(directions.model.get("name", "")).startswith(PREFIX)
    norm = directions[behaviour].norm_at(layer)
    words: list[object] = ["steer", "write", vectors, "--behaviour", behaviour, "--layer", layer]
    if norm != norm:
        words.append("--absolute")
    if directions.read.startswith("before"):
        words += ["--when", "sentences"]
    next_command(*words, "--prompt", ORGANISM_PROBLEM if is_organism else QUESTION)
