"""Name the command that uses the directions or probes which were just written, in a way that works for their model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reasonlens.cli.console import next_command

if TYPE_CHECKING:
    from reasonlens.vectors import Directions

QUESTION = "What is 17 times 23?"
ORGANISM_PROBLEM = (  # all that an organism can read
    "sweet fine sour wrong bitter fine salty fine . 6 one corn turnip mint garlic carrot plum . "
    "1 two beet mango nut oat grape radish . 6 three melon fig olive lemon leek pea . "
    "4 four honey date cherry bread bean pepper . 4 five ginger wheat pear peach onion kiwi ."
)
ORGANISM_TEXT = "now look sour . right we one 6 hue . then say corn 2 miss . okay here . right see turnip 7 miss ."
TEXT = "So 4 + 3 is 8. Wait, that is wrong."


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
    is_organism = _is_organism(str(directions.model.get("name", "")))
    norm = directions[behaviour].norm_at(layer)
    words: list[object] = ["steer", "write", vectors, "--behaviour", behaviour, "--layer", layer]
    if norm != norm:
        words.append("--absolute")
    if directions.read.startswith("before"):
        words += ["--when", "sentences"]
    next_command(*words, "--prompt", ORGANISM_PROBLEM if is_organism else QUESTION)


def middle_of(layers: Sequence[int]) -> int:
    """Choose the layer to try first where none is known to be best: the last ones hardly steer.

    Args:
        layers: Blocks that there are directions of, ascending.

    Returns:
        The block in the middle.
    """
    return layers[len(layers) // 2]


def text_to_score(model: str) -> tuple[str, ...]:
    """Write the options of `reasonlens score` for a text that a model can read.

    Args:
        model: The name of the model that the probes were trained on.

    Returns:
        `--text` and, for an organism, `--prompt`, with their values.
    """
    return ("--prompt", ORGANISM_PROBLEM, "--text", ORGANISM_TEXT) if _is_organism(model) else ("--text", TEXT)


def _is_organism(model: str) -> bool:
    from reasonlens.models.organism import PREFIX

    return model.startswith(PREFIX)
