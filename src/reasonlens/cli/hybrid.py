"""Steer a base model when a thinking model would, with every control: `reasonlens hybrid`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reasonlens.cli.console import (
    UNKNOWN,
    interval,
    next_command,
    note,
    number,
    print_json,
    print_table,
    read_json,
    say,
)
from reasonlens.cli.options import (
    TRAINED_ORGANISMS,
    Base,
    Device,
    Jobs,
    Json,
    KlLimit,
    LayersOrNone,
    MaxNewTokens,
    Names,
    Numbers,
    OutDirectory,
    Problems,
    Quick,
    Quiet,
    Rows,
    Seed,
    Strengths,
    Temperature,
    TestProblems,
    Thinking,
    name_or_path,
)

if TYPE_CHECKING:
    from reasonlens.pairs.hybrid import HybridResult, PairResult
    from reasonlens.pairs.hybrid.measure import ArmResult
    from reasonlens.traces.judge import Judge

STRENGTHS = Numbers((0.5, 1, 1.5))


def hybrid(
    base: Base = None,
    thinking: Thinking = TRAINED_ORGANISMS,
    problems: Problems = None,
    out: OutDirectory = Path("runs/hybrid"),
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from what is in --out, or begin anew.")
    ] = True,
    arms: Annotated[
        Names | None,
        typer.Option(
            metavar="NAMES",
            help="Arms to run, joined by commas, or `all`; default those that a verdict requires.",
            parser=Names.parse,
        ),
    ] = None,
    quick: Quick = False,
    mechanism: Annotated[
        Literal["optimised", "mean-difference", "joint"],
        typer.Option(help="How vectors are found; `joint`: with their strengths."),
    ] = "optimised",
    gate: Annotated[
        str,
        typer.Option(help="When to steer: `disagreement`, `boundary` (of sentences), or `divergence:NATS`."),
    ] = "disagreement",
    through: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Steer on to the end of the sentence, each token with this share of the dose of the one before: 1 as "
            "much, 0 the tokens of the gate alone.",
        ),
    ] = 0.0,
    strength_by: Annotated[
        Literal["constant", "per-behaviour", "network"],
        typer.Option("--strength-by", help="How much; `network`: by a small network on the base's activation."),
    ] = "constant",
    layers: LayersOrNone = None,
    strengths: Strengths = STRENGTHS,
    kl_limit: KlLimit = 1.0,
    train: Annotated[
        int | None, typer.Option(help="Problems on which the thinking model writes; default 400.", min=10)
    ] = None,
    validation: Annotated[
        int | None, typer.Option(help="Problems on which layer and strength are chosen; default 150.", min=5)
    ] = None,
    test: TestProblems = None,
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 250,
    cache_gigabytes: Annotated[
        float,
        typer.Option(help="Room for keys and values of rollouts while vectors are found: more rollouts are used."),
    ] = 4.0,
    judge_url: Annotated[
        str | None,
        typer.Option(help="Chat-completions endpoint, https://host/v1, that grades what the rule is unsure of."),
    ] = None,
    judge_model: Annotated[str | None, typer.Option(help="Which model is asked there.")] = None,
    judge_key_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the endpoint's key.")
    ] = "OPENAI_API_KEY",
    jobs: Jobs = 2,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how much of the gap to a thinking model a base model recovers, steered at the moments that model picks.

    With no weight updates: vectors are made from the thinking model's own text, one block of the base is pushed along
    them where the two would say different tokens (or where a probe on the base says so), and everything that could
    explain the gain in another way is run beside it. Without options: the built-in pairs, where the truth is known.

    By default 1000 test problems, and the arms without which no verdict is given; `--quick` runs them on 200, with 200
    to train, 100 to validate and one seed each. `--arms all` runs every arm. `--jobs` pairs of organisms run side by
    side; other pairs run one after another.

    `--layers` and `--strengths` are tried on the validation problems, all on few and the better ones on more, within
    `--kl-limit`; by default blocks a quarter, half and three quarters up. Of a network's strengths, `--strengths` are
    multiples.
    """
    import reasonlens
    from reasonlens.generation import Sampling
    from reasonlens.pairs.identity import folder_of

    chosen: dict[str, Any] = {} if arms is None else {"arms": arms}
    sizes = {"n_train": train, "n_validation": validation, "n_test": test}
    chosen |= {name: size for name, size in sizes.items() if size is not None}
    settings = (reasonlens.HybridSettings.quick if quick else reasonlens.HybridSettings)(
        **chosen,
        mechanism=mechanism,
        gate=gate,
        through=through,
        strength_by=strength_by,
        layers=layers,
        strengths=strengths,
        kl_limit_nats=kl_limit,
        n_rows=rows,
        cache_gigabytes=cache_gigabytes,
        rollout=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=max_new_tokens),
        sampling=Sampling(n_samples=1, temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        seed=seed,
    )
    result = reasonlens.hybrid(
        base,
        [name_or_path(name) for name in thinking],
        problems,
        settings=settings,
        judge=_judge(judge_url, judge_model, judge_key_variable),
        out=out,
        resume=resume,
        jobs=jobs,
        device=device,
    )
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print(result)
    note(f"report: {out / 'report.html'}")
    name, pair = next(iter(result.pairs.items()))
    assert pair.run is not None, "a pair that was just run has what it made"
    folder = out / folder_of(name)
    vectors = folder / ("vectors.safetensors" if strength_by == "network" else "found.safetensors")
    next_command("steer", "sweep", vectors, "--model", pair.run.pair.base.name, "--out", "runs/sweep")


def _judge(url: str | None, model: str | None, key_variable: str) -> Judge | None:
    from reasonlens.rundir import InputError
    from reasonlens.traces.judge import Judge

    if url is None and model is None:
        return None
    if url is None or model is None:
        raise InputError("a judge needs both --judge-url and --judge-model")
    return Judge(url=url, model=model, key_variable=key_variable)


def _print(result: HybridResult) -> None:
    for pair in result.pairs.values():
        _print_arms(pair)
        _print_tokens(pair)
    if len(result.pairs) > 1:
        _print_summary(result)
    for name, pair in result.pairs.items():
        say(f"{name}: {pair.verdict}")
        settled_by = ", ".join(pair.verdict.refutable_by)
        say(f"  rule {pair.verdict.rule!r}; would have refuted it, or could settle it: {settled_by}")
    for name, pair in result.pairs.items():
        if pair.judged is not None:
            say(f"{name}, by {pair.judged.model}: {pair.judged.gap.share.value:.3f} of the gap")
            for arm, accuracy in pair.judged.accuracy.items():
                say(f"  {arm}: {accuracy:.3f} right, asked about {pair.judged.n_asked[arm]} unsure answers")


def _print_summary(result: HybridResult) -> None:
    """Print a row for each pair: the hybrid beside the best of its controls."""
    from reasonlens.pairs.hybrid.evidence import best_control

    rows = []
    for name, pair in result.pairs.items():
        arms, best = pair.arms, best_control(pair.arms)
        rows.append(
            (
                name,
                number(arms["base"].accuracy),
                number(arms["thinking"].accuracy),
                _gap(arms["hybrid"]),
                f"{arms['hybrid'].steered:.1%}",
                _gap(arms["boundaries"]) if "boundaries" in arms else UNKNOWN,
                f"{best.gap:.3f} ({best.arm})" if best else UNKNOWN,
                str(arms["hybrid"].n),
            )
        )
    print_table(
        (
            *("thinking model", "base", "thinking", "hybrid: gap recovered", "steered", "boundaries"),
            *("best control", "n"),
        ),
        rows,
        title="pairs side by side",
    )


def _print_arms(pair: PairResult) -> None:
    print_table(
        ("arm", "accuracy", "gap recovered", "steered", "changed", "p", "truncated", "unsure"),
        [
            (
                name,
                interval(arm.accuracy, arm.accuracy_low, arm.accuracy_high),
                _gap(arm),
                f"{arm.steered:.1%}",
                f"{arm.changed:.1%}",
                UNKNOWN if name == "base" else f"{arm.p_value:.2g}",
                f"{arm.truncated:.1%}",
                f"{arm.unsure:.1%}",
            )
            for name, arm in pair.arms.items()
        ],
        title=f"{pair.name}: {pair.arms['hybrid'].n} test problems",
        caption="Gap recovered: (arm - base) / (thinking - base), unclipped [95% interval over problems]. Changed: "
        "tokens that are others than the base's. p: sign-flip test over problems against the base, all seeds. Unsure: "
        "the rule cannot tell; not counted as right, and accuracy is higher by so much if all of them are.",
    )


def _print_tokens(pair: PairResult) -> None:
    print_table(
        ("arm", "tokens steered", "thinking model's", "base's", "not steered: thinking model's", "base's"),
        [
            (
                name,
                str(arm.n_steered),
                interval(arm.as_thinking, arm.as_thinking_low, arm.as_thinking_high),
                interval(arm.as_base, arm.as_base_low, arm.as_base_high),
                interval(arm.elsewhere_as_thinking, arm.elsewhere_as_thinking_low, arm.elsewhere_as_thinking_high),
                interval(arm.elsewhere_as_base, arm.elsewhere_as_base_low, arm.elsewhere_as_base_high),
            )
            for name, arm in pair.arms.items()
            if arm.n_steered
        ],
        title=f"{pair.name}: whose tokens",
        caption="Share of the tokens that were steered, and of those at which the gate stayed shut, that are the "
        "likeliest token of either model there [95% interval over problems].",
    )


def _gap(arm: ArmResult) -> str:
    return interval(arm.gap, arm.gap_low, arm.gap_high)
