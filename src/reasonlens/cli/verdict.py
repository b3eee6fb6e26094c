"""Say whether training taught when or how, by all evidence that fits in a budget: `reasonlens verdict`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from reasonlens.cli.console import next_command, note, print_json, print_table, read_json, say
from reasonlens.cli.exchange import PLANS, Plans
from reasonlens.cli.options import (
    Base,
    Device,
    Json,
    MaxNewTokens,
    OutDirectory,
    Problems,
    Quiet,
    Rows,
    Seed,
    Temperature,
    TestProblems,
    name_or_path,
)

if TYPE_CHECKING:
    from reasonlens.pairs.verdict import VerdictResult

UNITS = {"s": 1, "m": 60, "h": 3600}


class Budget(float):
    """A time in seconds, as 90s, 10m or 2h write it."""

    @classmethod
    def parse(cls, text: str | float) -> Budget:
        """Read a number and its unit; what is read already (a default) stays."""
        if not isinstance(text, str):
            return cls(text)
        written = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", text)
        if written is None:
            raise typer.BadParameter(f"{text!r} is no time; write 90s, 10m or 2h")
        return cls(float(written[1]) * UNITS[written[2]])


TEN_MINUTES = Budget(600)


def verdict(
    base: Base = None,
    thinking: Annotated[
        str,
        typer.Option("--thinking", metavar="MODEL", help="Model with the training.", parser=name_or_path),
    ] = "organism/rl-timing",
    problems: Problems = None,
    out: OutDirectory = Path("runs/verdict"),
    budget: Annotated[
        Budget,
        typer.Option(
            metavar="TIME",
            help="Time that all evidence may take together: 90s, 10m, 2h. More on the same --out goes on from there.",
            parser=Budget.parse,
        ),
    ] = TEN_MINUTES,
    clock: Annotated[
        Literal["wall", "processor"],
        typer.Option(help="What counts as time; `processor`: of this process, where others are at work beside it."),
    ] = "wall",
    plans: Plans = PLANS,
    test: TestProblems = None,
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say whether training taught a model *when* or *how*, with all evidence that fits in a budget of time.

    One page: a sentence, read off the exchange of sentences by written rules; lines of evidence (exchange, hybrid,
    pass@k, likelihood, profile), each with its control, which agree, contradict the sentence or are silent; what could
    not be measured and why; and what would change the sentence. An exchange answers 800 problems at most (`--test`).
    """
    import reasonlens
    from reasonlens.generation import Sampling

    settings = reasonlens.VerdictSettings(
        budget_seconds=float(budget),
        clock=clock,
        plans=() if tuple(plans) == ("none",) else tuple(plans),
        sampling=Sampling(n_samples=1, temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        n_test=800 if test is None else test,
        n_rows=rows,
        seed=seed,
    )
    result = reasonlens.verdict(base, thinking, problems, settings=settings, out=out, device=device)
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print(result)
    note(f"report: {out / 'report.html'}")
    options = (
        *(("--base", base, None), ("--problems", problems, None), ("--clock", clock, "wall")),
        *(("--plans", ",".join(plans), ",".join(PLANS)), ("--test", test, None), ("--seed", seed, 0)),
        *(("--max-new-tokens", max_new_tokens, 287), ("--temperature", temperature, 1.0)),
    )  # with others the run would be another one
    words = [word for name, value, default in options if value != default for word in (name, value)]
    more = f"{max(1, round(2 * float(budget) / 60))}m"
    next_command("verdict", "--thinking", thinking, *words, "--budget", more, "--out", out)


def _print(result: VerdictResult) -> None:
    from reasonlens.pairs.verdict.looks import looks_in_words
    from reasonlens.pairs.verdict.result import number_text

    stances = result.stances()
    levels = "; ".join(f"{line.piece} {line.percent}" for line in result.lines)
    print_table(
        ("evidence", "number", "value", "unit"),
        [(line.piece, one.name, number_text(one.share), one.unit) for line in result.lines for one in line.readings],
        title=f"{result.thinking} beside {result.base}: value [interval over problems: {levels}]",
        n_names=2,
    )
    for line in result.lines:
        say(f"{line.piece} ({line.size}) {stances[line.piece]}: {line.says}.")
    say(f"{result.pair}. {result.verdict}")
    if result.looks:
        say(f"{looks_in_words(result.looks)}.")
    if result.truth is not None:
        say(f"planted truth: {result.truth} of the gap is timing")
    for sentence in result.lacking():
        say(f"could not be measured: {sentence}")
    for sentence in result.would_change():
        say(f"would change it: {sentence}")
