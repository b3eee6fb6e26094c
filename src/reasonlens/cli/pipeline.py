"""Show the pipeline: what `reasonlens` alone prints, a line a step with its command, in the order of use."""

from __future__ import annotations

from reasonlens.cli.console import say

STEPS = (
    ("sample --model M --problems P --out samples.jsonl", "graded traces of a model's own"),
    ("label samples.jsonl --by keywords --out labelled.jsonl", "what each sentence does"),
    ("traces check labelled.jsonl", "duplicates, leaks, labels in too few problems"),
    ("locate --model M --traces labelled.jsonl --out located", "where the behaviours lie, layer by layer"),
    ("score located/probes.safetensors --text TEXT", "token by token"),
    ("steer sweep located/vectors.safetensors --model M", "what directions do, beside random ones"),
    ("export located/vectors.safetensors --format llama.cpp --out v.gguf", "for other tools"),
    ("verdict --base B --thinking T --problems P --budget 10m", "did training teach when or how? one page"),
    ("exchange | hybrid | passk | decisions | geometry | dynamics", "the evidence, piece by piece"),
    ("runs", "what all of them found"),
)


def show_pipeline() -> None:
    """Print the steps, and where to go on."""
    width = max(len(command) for command, _ in STEPS)
    say("reasonlens locates reasoning directions in language models and tests what they do. In the order of use:\n")
    for command, about in STEPS:
        say(f"  reasonlens {command:{width}}  {about}")
    say("\n`reasonlens locate` needs no options: a built-in model and traces. All commands: `reasonlens --help`; the")
    say("options of one: `reasonlens COMMAND --help`.")
