"""Fill in code that is ready to paste: it steers with one behaviour's vector from our file in each tool.

A snippet has two parts, so that tests can run the second with a model of their own: `load` loads the model and the
vector, `act` steers. The user's names (files, behaviours, models) are inserted as Python or shell literals.
"""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from string import Template

from ...models import gguf_elsewhere, name_elsewhere
from ...models.sites import added_at
from ...rundir import InputError
from .._directions import Directions
from .registry import FORMATS
from .selection import select
from .snippet_templates import SNIPPETS

_BLOCKS = {
    **dict.fromkeys(("gpt2", "gpt_neo", "gptj", "bloom", "falcon", "codegen", "gpt_bigcode"), "transformer.h"),
    "gpt_neox": "gpt_neox.layers",
    "opt": "model.decoder.layers",
}


def snippet(
    tool: str,
    directions: Directions,
    file: str | Path,
    *,
    behaviour: str | None = None,
    layer: int | None = None,
    strength: float | None = None,
    model: str | None = None,
) -> tuple[str, str]:
    """Fill in the code for one tool.

    Args:
        tool: A name in `SNIPPETS`.
        directions: The directions that the file holds.
        file: The file of directions that the code opens.
        behaviour: Which behaviour; may be left out where there is only one.
        layer: The 0-based block; may be left out where the directions cover only one, or one was found (`steer_find`).
        strength: In units of the mean residual norm; None takes the vector as it is, or where no layer is given either
            the strength that was found.
        model: The model, as `load` takes it; None means that of the directions. The code names it as the tool can load
            it: built-in names by their id on the hub, organisms by their directory.

    Returns:
        The part that loads model and vector, and the part that steers.

    Raises:
        InputError: There is no snippet for the tool, or the behaviour, layer or strength cannot be used.
    """
    if tool not in SNIPPETS:
        raise InputError(f"there is no snippet for {tool!r}; there are {', '.join(SNIPPETS)}")
    only = directions.behaviours[0] if len(directions.behaviours) == 1 else ""
    choice = directions.choices.get(behaviour or only)
    if layer is None and choice is not None:
        layer, strength = choice.layer, choice.strength if strength is None else strength
    if layer is None:
        if len(directions.layers) != 1:
            raise InputError(
                f"a snippet steers one layer: name it (--layer); there are directions at "
                f"{', '.join(map(str, directions.layers))}"
            )
        layer = directions.layers[0]
    any_site = tool == "transformer-lens"
    selection = select(directions, behaviour, layers=layer, strength=strength, any_site=any_site)
    if tool in FORMATS and layer in (reasons := FORMATS[tool].cannot_steer(directions)):
        raise InputError(reasons[layer])
    norm = directions[selection.behaviour].norm_at(layer)
    scaled = "vector.float()"
    if strength is not None:
        scaled = f"{strength!r} * {norm:.6g} * vector / vector.norm()  # {strength:g} x the mean residual norm"
    elif math.isfinite(norm):
        scaled += f"  # as it stands: {float(selection.rows[layer].norm()) / norm:.3g} x the mean residual norm"
    blocks = _BLOCKS.get(selection.model_type, "model.layers")
    stated = model or str(selection.model.get("name") or "MODEL")
    name = stated if tool == "llama.cpp" else name_elsewhere(stated)
    words = ["reasonlens", "export", str(file), "--behaviour", selection.behaviour, "--layer", str(layer)]
    words += ["--strength", repr(strength)] if strength is not None else []
    values = {
        "file": repr(str(file)),
        "behaviour": repr(selection.behaviour),
        "row": directions.layers.index(layer),
        "layer": layer,
        "site": str(directions.site),
        "hook": added_at(directions.site).in_block(layer),
        "scaled": scaled,
        "model": repr(name),
        "model_shell": shlex.quote(name),
        "gguf_shell": shlex.quote(gguf_elsewhere(stated) or "model.gguf"),
        "blocks": repr(blocks),
        "blocks_path": blocks,
        "export": _one_line(shlex.join(words)),
    }
    template = SNIPPETS[tool]
    return Template(template.load).substitute(values), Template(template.act).substitute(values)


def _one_line(text: str) -> str:
    """Check that a command can stand in a comment: a line break in a name would end the comment."""
    if any(not letter.isprintable() for letter in text):
        raise InputError("a behaviour or file with a control character in its name cannot stand in a command")
    return text
