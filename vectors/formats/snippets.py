"""Code ready to paste: one behaviour's vector, from a file of reasonlens, at work in each tool.

A snippet has two parts, so that tests can run the second with a model of their own: `load` gets the model and the
vector, `act` steers. Names of the user's (files, behaviours, models) go in as Python or shell literals.
"""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from string import Template

from ...rundir import InputError
from ..directions import Directions
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
    """The two parts of the code for `tool`: what loads model and vector from `file`, and what steers.

    layer: may be left out where there is one only. strength: relative dose; default the vector as it stands.
    model: its name in the code, default that of the directions. Raises InputError for what is not there.
    """
    if tool not in SNIPPETS:
        raise InputError(f"there is no snippet for {tool!r}; there are {', '.join(SNIPPETS)}")
    if layer is None:
        if len(directions.layers) != 1:
            raise InputError(
                f"a snippet steers one layer: name it (--layer); there are directions at "
                f"{', '.join(map(str, directions.layers))}"
            )
        layer = directions.layers[0]
    selection = select(directions, behaviour, layers=layer, strength=strength)
    if tool == "llama.cpp" and layer == 0:
        raise InputError("llama.cpp cannot steer layer 0: its control vectors begin with the second block")
    norm = directions[selection.behaviour].norm_at(layer)
    scaled = "vector.float()"
    if strength is not None:
        scaled = f"{strength!r} * {norm:.6g} * vector / vector.norm()  # {strength:g} x the mean residual norm"
    elif math.isfinite(norm):
        scaled += f"  # as it stands: {float(selection.rows[layer].norm()) / norm:.3g} x the mean residual norm"
    blocks = _BLOCKS.get(selection.model_type, "model.layers")
    name = model or str(selection.model.get("name") or "MODEL")
    words = ["reasonlens", "export", str(file), "--behaviour", selection.behaviour, "--layer", str(layer)]
    words += ["--strength", repr(strength)] if strength is not None else []
    values = {
        "file": repr(str(file)),
        "behaviour": repr(selection.behaviour),
        "row": directions.layers.index(layer),
        "layer": layer,
        "scaled": scaled,
        "model": repr(name),
        "model_shell": shlex.quote(name),
        "blocks": repr(blocks),
        "blocks_path": blocks,
        "export": _one_line(shlex.join(words)),
    }
    found = SNIPPETS[tool]
    return Template(found.load).substitute(values), Template(found.act).substitute(values)


def _one_line(text: str) -> str:
    """A command that may stand in a comment: a name with a line break in it would end the comment."""
    if any(not letter.isprintable() for letter in text):
        raise InputError("a behaviour or file with a control character in its name cannot stand in a command")
    return text
