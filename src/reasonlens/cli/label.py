"""Label the sentences of traces by keywords, rules, probes or an endpoint: `reasonlens label`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.completion import complete_traces
from reasonlens.cli.console import interval_of, next_command, note, print_json, print_table, say
from reasonlens.cli.options import (
    Device,
    Json,
    KeyVariable,
    ModelOrNone,
    OutFile,
    Parallel,
    Quiet,
    Timeout,
    Url,
    name_or_path,
)

if TYPE_CHECKING:
    from reasonlens.analysis.label import Labelling

NONE = "(none)"


def label(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Traces to be labelled, with spans or without: a file, or `bundled`.",
            parser=name_or_path,
            autocompletion=complete_traces,
        ),
    ],
    out: OutFile,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="ANNOTATOR",
            help="Who labels: `keywords` (the default), `rules` (of model organisms), `spans` (those in FILE), "
            "`probe:FILE`, `endpoint:MODEL`; as often as needed.",
        ),
    ] = None,
    behaviours: Annotated[
        str,
        typer.Option(
            "--behaviours",
            metavar="SET",
            help="What keywords and endpoints label: `bundled`, `published`, `cognitive`, `anchors`, or a YAML file.",
            parser=name_or_path,
        ),
    ] = "bundled",
    take: Annotated[
        str | None,
        typer.Option(metavar="ANNOTATOR", help="Whose labels become spans, or `majority`; default the first."),
    ] = None,
    thoughts_only: Annotated[
        bool, typer.Option("--thoughts-only", help="Label only what stands inside thoughts (`<think>`).")
    ] = False,
    min_words: Annotated[int, typer.Option(help="Pieces with fewer words are no sentences.", min=0)] = 1,
    model: ModelOrNone = None,
    url: Url = None,
    key_variable: KeyVariable = "OPENAI_API_KEY",
    reply_tokens: Annotated[
        int,
        typer.Option(
            help="Of an endpoint: tokens of a reply at most, with its thoughts; fewer where its context is too short.",
            min=1,
        ),
    ] = 2048,
    structured_outputs: Annotated[
        bool,
        typer.Option(
            "--structured-outputs",
            help="Of an endpoint: let it hold replies to a JSON schema (`response_format`), so that all can be read.",
        ),
    ] = False,
    parallel: Parallel = 8,
    timeout: Timeout = 600.0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Label every sentence of traces, by several annotators if you like, and measure how far they agree.

    Example: `reasonlens label traces.jsonl --by keywords --by endpoint:my-model --url http://localhost:8000/v1 --out
    labelled.jsonl`

    FILE's traces are written with the labels of one annotator as spans; the labels of all, and what they disagree on,
    stand in the metadata. The directory OUT.label beside it holds the run: the same command resumes it, and nothing is
    paid twice. See docs/label.md.
    """
    import reasonlens

    result = reasonlens.label(
        file,
        by or ["keywords"],
        behaviours=behaviours,
        take=take,
        thoughts_only=thoughts_only,
        min_words=min_words,
        model=model,
        url=url,
        key_variable=key_variable,
        reply_tokens=reply_tokens,
        structured_outputs=structured_outputs,
        timeout_s=timeout,
        n_parallel=parallel,
        out=out,
        device=device,
    )
    if as_json:
        print_json(result.to_dict())
    else:
        print_labels(result)
    note(f"report: {out}.label/report.html")
    if result.n_disputed:
        note(f"{result.n_disputed} disputed sentences: reasonlens label review {out}")
    reader = model or result.written_by  # organisms' words are known to organisms only
    next_command("locate", *(("--model", reader) if reader else ()), "--traces", out)


def print_labels(result: Labelling) -> None:
    """Print how often each annotator gives each label, and how far they agree."""
    rows = result.to_frame().to_dict("records")
    labels = dict.fromkeys(row["label"] for row in rows)
    cells = {(row["label"], row["annotator"]): row for row in rows}
    alphas = {row["label"]: interval_of(row, "alpha", 2) for row in rows}
    is_compared = len(result.annotators) > 1
    agreements = result.agreement.to_dict("records")
    print_table(
        ("label", *(f"{name}: sentences / problems" for name in result.annotators), *(["alpha"] * is_compared)),
        [
            (
                name or NONE,
                *(f"{cells[name, by]['n_sentences']} / {cells[name, by]['n_problems']}" for by in result.annotators),
                *([alphas[name]] * is_compared),
            )
            for name in labels
        ],
        title=f"{result.n_sentences} sentences of {result.n_traces} traces, {result.n_problems} problems; "
        f"spans by {result.spans_by}",
        caption="Alpha: Krippendorff's, of the label against everything else [95% interval over problems]."
        if is_compared
        else "",
    )
    if is_compared:
        print_table(
            ("annotators", "coefficient", "value", "same label", "sentences"),
            [
                (
                    row["annotators"],
                    row["coefficient"],
                    interval_of(row, "value"),
                    interval_of(row, "same", 2),
                    str(row["n_sentences"]),
                )
                for row in agreements
                if row["behaviour"] == "all"
            ],
            title="Agreement beyond chance (0: chance, 1: perfect)",
            n_names=2,
        )
    for name in result.structured:
        say(f"{name}: replies held to a JSON schema (structured outputs)")
    for name, n in result.n_malformed.items():
        say(f"{name}: {n} replies could not be read")
    unknown = {row["annotator"]: row["n_unknown"] for row in rows if row["n_unknown"]}
    for name, n in unknown.items():
        say(f"{name}: the label of {n} sentences is not known")
    if result.low_agreement:
        say(f"low agreement (alpha below 2/3): {', '.join(result.low_agreement)}")
