"""Write what a page offers for a chosen behaviour and layer: commands, and the same in Python.

The page puts the chosen ones in the place of the words BEHAVIOUR and LAYER.
"""

from __future__ import annotations


def next_commands(model: str, read: str, *, probes: str, vectors: str | None) -> tuple[str, str]:
    """Write commands and lines of Python that score text with a probe, and steer with a direction.

    Args:
        model: Name of the model.
        read: Which tokens of a span were read.
        probes: Name of the file of probes.
        vectors: Name of the file of directions; None if there is none.

    Returns:
        The commands, and the lines of Python.
    """
    shell = [f"reasonlens score {probes} --behaviours BEHAVIOUR --layer LAYER --traces TRACES.jsonl"]
    python = [
        "import reasonlens",
        f'scores = reasonlens.score({model!r}, ["So it is 8. Wait, no."], "{probes}", '
        "behaviours=[BEHAVIOUR], layer=LAYER)",
    ]
    if vectors is not None:
        chosen = f"{vectors} --behaviour BEHAVIOUR --layer LAYER"
        when = ("sentences", " --when sentences") if read.startswith("before") else ("response", "")
        shell = [
            f'reasonlens steer write {chosen}{when[1]} --prompt "What is 17 times 23?"',
            f"reasonlens export {chosen} --format repeng --out direction.gguf",
            *shell,
        ]
        python += [
            f'directions = reasonlens.Directions.open("{vectors}")',
            f'reasonlens.steer_write({model!r}, directions, "What is 17 times 23?", '
            f'behaviour=BEHAVIOUR, layer=LAYER, when="{when[0]}")',
            "vector = directions[BEHAVIOUR].at(LAYER)",
        ]
    return "\n".join(shell), "\n".join(python)
