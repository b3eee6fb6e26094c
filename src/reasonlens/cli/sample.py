"""Sample a model on problems and write graded traces: `reasonlens sample`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import UNKNOWN, interval, next_command, note, print_json, print_table
from reasonlens.cli.options import (
    Device,
    Json,
    KeyVariable,
    MaxNewTokens,
    Model,
    OutFile,
    Parallel,
    ProblemCount,
    Problems,
    Quiet,
    Rows,
    Samples,
    Seed,
    Temperature,
    Template,
    Timeout,
    TopP,
    Url,
)

if TYPE_CHECKING:
    import reasonlens


def sample(
    out: OutFile,
    model: Model = "smollm2-135m",
    problems: Problems = None,
    samples: Samples = 4,
    n_problems: ProblemCount = 200,
    engine: Annotated[
        str, typer.Option(help="What runs the model: `transformers`, `vllm`, or `openai` (any chat endpoint).")
    ] = "transformers",
    url: Url = None,
    key_variable: KeyVariable = "OPENAI_API_KEY",
    parallel: Parallel = 8,
    timeout: Timeout = 600.0,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    max_new_tokens: MaxNewTokens = 1024,
    template: Template = "auto",
    system: Annotated[str, typer.Option(help="System message before each problem.")] = "",
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Text that ends a response; as often as needed.")
    ] = None,
    rows: Rows = 128,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Sample a model on problems, and write graded traces that `locate` and all others read.

    Example: `reasonlens sample --model organism/rl-timing --problems organism --out rl.jsonl`

    `--problems organism` are the test problems of the model organisms. Each line of the file has the grade, whether the
    response was cut off, and where its thoughts and its answer stand in `metadata`.

    Every response is kept in a log beside the file (`.rows` after its name) as soon as it is there: the same command
    goes on where it was stopped, and more `--samples` or `--n-problems` are added to those that are there.
    """
    import reasonlens

    settings = reasonlens.SampleSettings(
        n_samples=samples,
        n_problems=n_problems,
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=max_new_tokens,
        template=template,
        system=system,
        stop=tuple(stop or ()),
        seed=seed,
        n_rows=rows,
    )
    endpoint = None
    if url is not None:
        endpoint = reasonlens.Endpoint(
            url=url, key_variable=key_variable, timeout_s=timeout, deadline_s=3 * timeout, n_parallel=parallel
        )
    result = reasonlens.sample(
        model, problems, out=out, settings=settings, engine=engine, endpoint=endpoint, device=device
    )
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)
    note(f"traces: {out}")
    by = "rules" if str(model).startswith("organism/") else "keywords"
    next_command("label", out, "--by", by, "--out", out.with_suffix(".labelled.jsonl"))


def _print(result: reasonlens.Samples) -> None:
    speed = UNKNOWN if result.tokens_per_second is None else f"{result.tokens_per_second:,.0f}"
    print_table(
        ("outcome", "share of samples", "problems"),
        [
            (row["outcome"], interval(row["value"], row["low"], row["high"]), str(row["n"]))
            for row in result.tables()["outcomes"].rows.to_dict("records")
        ],
        title=f"{len(result.samples)} samples of {result.model}, {result.truncated.n} problems of {result.problems}",
        caption=f"95% intervals over problems. Unsure: the rule cannot tell. {result.n_new} samples are new; tokens a "
        f"second: {speed}.",
    )
