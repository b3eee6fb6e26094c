"""Declare the options that several commands share, each once: its name, help, type and completion.

A command annotates a parameter with one of them and gives the default: `device: Device = None`. `~` is expanded here,
in every path and in whatever may be a path. Names and numbers joined by commas arrive as tuples.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import typer

from reasonlens.cli.completion import complete_behaviours, complete_models, complete_traces
from reasonlens.cli.console import no_notes


class Names(tuple[str, ...]):
    """Names joined by commas."""

    @classmethod
    def parse(cls, text: str | tuple[str, ...]) -> Self:
        """Split at commas; what is split already (a default) stays."""
        return cls(name.strip() for name in text.split(",")) if isinstance(text, str) else cls(text)


class Numbers(tuple[float, ...]):
    """Numbers joined by commas."""

    @classmethod
    def parse(cls, text: str | tuple[float, ...]) -> Self:
        """Split at commas; what is split already (a default) stays."""
        if not isinstance(text, str):
            return cls(text)
        try:
            return cls(float(number) for number in text.split(","))
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not numbers joined by commas, such as 0.5,1") from None


def path_of(text: str | Path) -> Path:
    """Read a path, `~` expanded."""
    from reasonlens import rundir

    try:
        return rundir.expanded(text)
    except rundir.InputError as error:
        raise typer.BadParameter(str(error)) from error


def name_or_path(text: str) -> str:
    """Read what is a name or a path, `~` expanded."""
    return str(path_of(text)) if text.startswith("~") or not text.isascii() else text


def assignments(options: list[str] | None) -> dict[str, Any]:
    """Read NAME=VALUE pairs; true, false and numbers as such, `-` in names as `_`."""
    from reasonlens.rundir import InputError

    values: dict[str, Any] = {}
    for option in options or ():
        name, equals, text = option.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set takes NAME=VALUE, and {option!r} is not (shrinkage=0.5)")
        try:
            value = json.loads(text.lower())
        except (ValueError, RecursionError):
            value = text
        values[name.strip().replace("-", "_")] = value if isinstance(value, bool | int | float) else text
    return values


def field_names(options: list[str] | None) -> dict[str, str]:
    """Read FIELD=NAME pairs."""
    from reasonlens.rundir import InputError

    names: dict[str, str] = {}
    for option in options or ():
        field, equals, name = option.partition("=")
        if not equals or not field.strip():
            raise InputError(f"--field takes FIELD=NAME, and {option!r} is not (prompt=question)")
        names[field.strip()] = name.strip()
    return names


def _silence(context: typer.Context, requested: bool) -> bool:
    """Silence notes and progress until the command ends; typer takes what is returned for the value."""
    if requested and not context.resilient_parsing:
        context.with_resource(no_notes())
    return requested


# What is read.
_MODEL = typer.Option(
    "--model",
    metavar="MODEL",
    help="Hub id, directory of a model or adapter, .gguf, or built in: smollm2-135m, gemma3-270m, organism/rl-timing.",
    parser=name_or_path,
    autocompletion=complete_models,
)
Model = Annotated[str, _MODEL]
ModelOrNone = Annotated[str | None, _MODEL]
_TRACES = typer.Option(
    "--traces",
    metavar="TRACES",
    help="File of labelled traces (JSONL, or what `reasonlens traces convert` reads), or `bundled`: those that come "
    "with reasonlens.",
    parser=name_or_path,
    autocompletion=complete_traces,
)
Traces = Annotated[str, _TRACES]
TracesOrNone = Annotated[str | None, _TRACES]
TracesFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="JSON lines, JSON, CSV, Parquet, a log of Inspect or lm-eval (.gz of any), a directory of a dataset, "
        "`hf:NAME` of the hub, or `bundled`.",
        parser=name_or_path,
    ),
]
TracesForm = Annotated[
    str | None,
    typer.Option(
        "--form",
        metavar="FORM",
        help="What the file is, where that is not recognised: jsonl, json, csv, parquet, dataset, eval; or what its "
        "rows are: traces, messages, response, inspect, lm-eval.",
    ),
]
TracesFields = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="FIELD=NAME",
        help="What a field of a trace is called in the file (`prompt=question`, `problem=id`, `text=choices.0.text`); "
        "empty: it is not read. As often as needed.",
    ),
]
_LAYERS = typer.Option("--layers", metavar="LAYERS", help="Blocks, from 0: `all`, `0,4,10:20:2`, `-2:` (the last two).")
Layers = Annotated[str, _LAYERS]
LayersOrNone = Annotated[str | None, _LAYERS]
_LAYER = typer.Option("--layer", metavar="LAYER", help="Block, from 0; negative ones count from the end.")
Layer = Annotated[int, _LAYER]
LayerOrNone = Annotated[int | None, _LAYER]
_READ = (
    "Tokens of a span that are averaged: `mean` (all), `first`, `last`, `before:N` (the N that lead up to it), "
    "`window:BEGIN:END` (counted from its first; -1 and 10 are the published choice)."
)
Read = Annotated[str, typer.Option("--read", metavar="READ", help=_READ)]
ReadOrNone = Annotated[
    str | None, typer.Option("--read", metavar="READ", help=f"{_READ} Of ACTIVATIONS with several: which.")
]
_SITE = (
    "Where in a block, by the names of TransformerLens: `hook_out` (its output; the default), `hook_resid_pre`, "
    "`hook_attn_out`, `hook_resid_mid`, `hook_mlp_out`, ..."
)
SiteOrNone = Annotated[
    str | None, typer.Option("--site", metavar="SITE", help=f"{_SITE} Of ACTIVATIONS with several: which.")
]
Sites = Annotated[
    list[str] | None,
    typer.Option("--site", metavar="SITE", help=f"{_SITE} Several from one pass: as often as needed."),
]
Reads = Annotated[
    list[str] | None,
    typer.Option("--read", metavar="READ", help=f"{_READ} Default `mean`; several from one pass: as often as needed."),
]
TemplateName = Literal["auto", "chat", "plain"]
Template = Annotated[
    TemplateName,
    typer.Option(
        "--template", help="Whether prompts go through the chat template; `auto`: where the tokenizer has one."
    ),
]
Truncate = Annotated[bool, typer.Option("--truncate", help="Cut texts longer than the model's context.")]
Behaviours = Annotated[
    Names | None,
    typer.Option(
        "--behaviours",
        metavar="NAMES",
        help="Behaviours, joined by commas; default all. The others still serve as negatives.",
        parser=Names.parse,
        autocompletion=complete_behaviours,
    ),
]
_BEHAVIOUR = typer.Option(
    "--behaviour", metavar="NAME", help="Behaviour whose direction is taken.", autocompletion=complete_behaviours
)
Behaviour = Annotated[str, _BEHAVIOUR]
BehaviourOrNone = Annotated[str | None, _BEHAVIOUR]
Vectors = Annotated[
    Path,
    typer.Argument(
        metavar="VECTORS",
        help="File of directions: what `locate`, `directions` or `import` writes.",
        parser=path_of,
    ),
]

# Where it runs, and what is random.
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="DEVICE", help="`cpu`, `cuda`, `cuda:1`; default CUDA where there is one."),
]
Dtype = Annotated[
    str | None,
    typer.Option("--dtype", help="Number format of the weights: `bfloat16`, `float16`, `float32`."),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything that is drawn at random.", min=0, max=2**32 - 1)]
Folds = Annotated[int, typer.Option("--folds", help="Cross-validation folds; none cuts a problem.")]
_BOOTSTRAP = typer.Option("--bootstrap", help="Resamples of the problems for every interval.", min=0)
Bootstrap = Annotated[int, _BOOTSTRAP]
BootstrapOrNone = Annotated[int | None, _BOOTSTRAP]
Injection = Annotated[
    bool,
    typer.Option(
        "--injection/--no-injection",
        help="Where model and traces are at hand, also put tell-tale words before plain sentences: do words alone make "
        "it fire?",
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Accept another model of the same shape than the one that the file was made from."),
]

# What a model writes, and how it is steered.
Samples = Annotated[
    int, typer.Option("--samples", help="Responses that are sampled at each place, or to each problem.", min=0)
]
Temperature = Annotated[
    float, typer.Option("--temperature", help="Sampling temperature; 0: always the likeliest token.", min=0)
]
TopP = Annotated[
    float,
    typer.Option("--top-p", help="Of sampling: probability of the likeliest tokens among which is drawn; 1: all."),
]
Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Chat-completions endpoint that is asked: https://host/v1."),
]
KeyVariable = Annotated[
    str, typer.Option("--key-variable", metavar="NAME", help="Environment variable that holds the endpoint's key.")
]
Parallel = Annotated[int, typer.Option("--parallel", help="Of an endpoint: requests at the same time.", min=1)]
Timeout = Annotated[float, typer.Option("--timeout", help="Of an endpoint: seconds for each try to get a reply.")]
MaxNewTokens = Annotated[int, typer.Option("--max-new-tokens", help="Length of the responses, at most.", min=1)]
_PROMPT = typer.Option("--prompt", help="What the model is asked, or what the text answers.")
Prompt = Annotated[str, _PROMPT]
PromptOrNone = Annotated[str | None, _PROMPT]
ProblemCount = Annotated[int, typer.Option("--n-problems", help="Problems that are solved, at most.", min=2)]
Problems = Annotated[
    str | None,
    typer.Option(
        "--problems",
        metavar="SET",
        help="`gsm8k`, `math-500`, `reasoning-gym:KIND`, or a JSONL or Parquet file of `question` and `answer`; model "
        "organisms have problems of their own.",
        parser=name_or_path,
    ),
]
_STRENGTH = typer.Option(
    "--strength", help="In units of the mean norm of the residual stream; negative: the other way."
)
StrengthOrNone = Annotated[float | None, _STRENGTH]
Strengths = Annotated[
    Numbers,
    typer.Option(
        "--strengths",
        metavar="NUMBERS",
        help="Strengths to try, joined by commas, in units of the mean norm of the residual stream.",
        parser=Numbers.parse,
    ),
]
KlLimit = Annotated[
    float,
    typer.Option(
        "--kl-limit",
        metavar="NATS",
        help="Layers and strengths that move the model by more than this KL (steered from unsteered) a token written "
        "are dropped.",
    ),
]
Operation = Annotated[
    str,
    typer.Option("--operation", help="What is done: `add`, `add-preserving-norm`, `project-out`, `clamp`."),
]
_WHEN = typer.Option(
    "--when",
    help="Tokens that are steered: `all`, `prompt`, `response` (from the last of the prompt on), `response:N`, "
    "`from:N`, `sentences`: where a sentence of the response begins, or `sentences:SHARE`: on to its end, each "
    "token with this share of the dose of the one before.",
)
When = Annotated[str, _WHEN]
WhenOrNone = Annotated[str | None, _WHEN]
RandomCount = Annotated[
    int, typer.Option("--random", help="Random directions of the same strength, at each layer and strength.")
]

Html = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE", help="Write coloured text to this page, which opens offline.", parser=path_of
    ),
]

# What is written and printed.
_OUT_DIRECTORY = typer.Option(
    "--out",
    metavar="DIRECTORY",
    help="Directory for the results. The same command on it resumes an interrupted run.",
    parser=path_of,
)
OutDirectory = Annotated[Path, _OUT_DIRECTORY]
OutDirectoryOrNone = Annotated[Path | None, _OUT_DIRECTORY]
_OUT_FILE = typer.Option("--out", metavar="FILE", help="File to write.", parser=path_of)
OutFile = Annotated[Path, _OUT_FILE]
OutFileOrNone = Annotated[Path | None, _OUT_FILE]
_FORMAT = typer.Option("--format", metavar="FORMAT", help="Whose file it is: see --formats.")
Format = Annotated[str, _FORMAT]
FormatOrNone = Annotated[str | None, _FORMAT]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="An option of the method or format; as often as needed."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of tables.")]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print no notes and no progress: results and errors only.", callback=_silence),
]


def group_options(quiet: Quiet = False) -> None:
    """Take what may stand between a group of commands and its command."""


# Of pairs of a base and what was trained from it.
TRAINED_ORGANISMS = Names(("organism/rl-timing", "organism/sft-timing", "organism/rl-skill", "organism/sft-skill"))
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="MODEL",
        help="Model without the training: hub id, directory, .gguf, built in; default the base of each organism.",
        parser=name_or_path,
        autocompletion=complete_models,
    ),
]
Thinking = Annotated[
    Names,
    typer.Option(
        "--thinking",
        metavar="MODELS",
        help="Model with the training, or several joined by commas: each makes a pair with the base.",
        parser=Names.parse,
        autocompletion=complete_models,
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Less of everything, for a first look.")]
TestProblems = Annotated[
    int | None, typer.Option("--test", help="Problems on which everything is measured, at most.", min=2)
]
Rows = Annotated[int, typer.Option("--rows", help="Problems that are decoded together.", min=1)]
Family = Annotated[
    Path | None,
    typer.Option(
        "--family", metavar="DIRECTORY", help="Directory of a trained family; default the built-in one.", parser=path_of
    ),
]
Jobs = Annotated[
    int,
    typer.Option("--jobs", help="Models at work side by side, each on one thread; results do not depend on it.", min=1),
]
