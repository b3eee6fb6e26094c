"""Steer a base model when a thinking model would, with every control: `reasonlens hybrid`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reasonlens.cli.completion import complete_models
from reasonlens.cli.console import UNKNOWN, interval, next_command, note, number, print_json, print_table, read_json
from reasonlens.cli.options import (
    Device,
    Json,
    LayersOrNone,
    MaxNewTokens,
    Names,
    Numbers,
    OutDirectory,
    Problems,
    Quiet,
    Seed,
    Strengths,
    Temperature,
    name_or_path,
)

if TYPE_CHECKING:
    from reasonlens.pairs.hybrid import HybridResult, HybridSettings
    from reasonlens.pairs.hybrid.measure import ArmResult
    from reasonlens.pairs.hybrid.pair import Pair
    from reasonlens.traces.judge import Judge

THINKING = Names(("organism/rl", "organism/sft", "organism/random-reward"))
STRENGTHS = Numbers((0.5, 1, 1.5))


def hybrid(
    base: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Model that writes: hub id, directory, .gguf, or built in.",
            parser=name_or_path,
            autocompletion=complete_models,
        ),
    ] = "organism/base",
    thinking: Annotated[
        Names,
        typer.Option(
            metavar="MODELS",
            help="Model that says when, or several joined by commas: each makes a pair with the base.",
            parser=Names.parse,
            autocompletion=complete_models,
        ),
    ] = THINKING,
    problems: Problems = None,
    out: OutDirectory = Path("runs/hybrid"),
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from what is in --out, or begin anew.")
    ] = True,
    arms: Annotated[
        Names | None,
        typer.Option(metavar="NAMES", help="Arms to run, joined by commas; default all.", parser=Names.parse),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Main arms only, on 200 test problems.")] = False,
    mechanism: Annotated[
        Literal["optimised", "mean-difference", "joint"],
        typer.Option(help="How vectors are found; `joint`: with their strengths."),
    ] = "optimised",
    gate: Annotated[
        str,
        typer.Option(help="When to steer: `disagreement`, `boundary` (of sentences), or `divergence:NATS`."),
    ] = "disagreement",
    strength: Annotated[
        Literal["constant", "per-behaviour", "network"],
        typer.Option("--strength-by", help="How much; `network`: by a small network on the base's activation."),
    ] = "constant",
    layers: LayersOrNone = None,
    strengths: Strengths = STRENGTHS,
    train: Annotated[int, typer.Option(help="Problems on which the thinking model writes.", min=10)] = 400,
    validation: Annotated[int, typer.Option(help="Problems on which layer and strength are chosen.", min=5)] = 150,
    test: Annotated[
        int | None, typer.Option(help="Problems on which everything is measured; default 1000.", min=10)
    ] = None,
    max_new_tokens: MaxNewTokens = 112,
    temperature: Temperature = 0.0,
    rows: Annotated[int, typer.Option(help="Problems that are decoded together.", min=1)] = 250,
    cache_gigabytes: Annotated[
        float,
        typer.Option(help="Room for keys and values of rollouts while vectors are found: more rollouts are used."),
    ] = 4.0,
    judge_url: Annotated[
        str | None,
        typer.Option(help="Chat-completions endpoint, https://host/v1, that grades final answers beside the rule."),
    ] = None,
    judge_model: Annotated[str | None, typer.Option(help="Which model is asked there.")] = None,
    judge_key_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the endpoint's key.")
    ] = "OPENAI_API_KEY",
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how much of the gap to a thinking model a base model recovers, steered at the moments that model picks.

    With no weight updates: vectors are made from the thinking model's own text, one block of the base is pushed along
    them where the two would say different tokens (or where a probe on the base says so), and everything that could
    explain the gain in another way is run beside it. Without options: the built-in pairs, where the truth is known.

    `--layers` and `--strengths` are tried on the validation problems; by default blocks a quarter, half and three
    quarters up. Of a network's strengths, `--strengths` are multiples.
    """
    from reasonlens.activations.layers import parse_layers
    from reasonlens.generation import Sampling
    from reasonlens.pairs.hybrid import HybridResult, HybridSettings
    from reasonlens.pairs.hybrid.judging import check_answers, judge_pair
    from reasonlens.pairs.hybrid.run import forget, run_pair

    chosen: dict[str, Any] = {} if arms is None else {"arms": arms}
    chosen |= {} if test is None else {"n_test": test}
    settings = (HybridSettings.quick if quick else HybridSettings)(
        **chosen,
        mechanism=mechanism,
        gate=gate,
        strength=strength,
        layers=None if layers is None else tuple(parse_layers(layers, 10_000)),
        strengths=strengths,
        n_train=train,
        n_validation=validation,
        n_rows=rows,
        cache_gigabytes=cache_gigabytes,
        rollout=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=max_new_tokens),
        sampling=Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens),
        seed=seed,
    )
    judge = _judge(judge_url, judge_model, judge_key_variable)
    pairs = _pairs(base, [name_or_path(name) for name in thinking], problems, settings, device)
    for pair in pairs:
        if judge is not None:
            check_answers(pair)
    folders = {pair.name: out / pair.name.replace("/", "--") for pair in pairs}
    runs, judged = [], {}
    for pair in pairs:
        if not resume:
            forget(folders[pair.name])
        runs.append(run_pair(pair, settings, out=folders[pair.name]))
    result = HybridResult(pairs=tuple(runs), settings=settings)
    _write(result, out)
    if judge is not None:
        for run in runs:
            note(f"{run.pair.name}: {judge.model} grades final answers")
            judged[run.pair.name] = judge_pair(run, judge, folders[run.pair.name] / "judge.jsonl")
        result = HybridResult(pairs=tuple(runs), settings=settings, judged=judged)
        _write(result, out)
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        _print(result)
    note(f"report: {out / 'report.html'}")
    vectors = folders[pairs[0].name] / "vectors.safetensors"
    next_command("steer", "sweep", vectors, "--model", base, "--out", "runs/sweep")


def _write(result: HybridResult, out: Path) -> None:
    from reasonlens.rundir import write_json, write_text

    write_json(out / "results.json", result.to_dict())
    result.to_frame().to_csv(out / "arms.csv", index=False)
    write_text(out / "report.html", result.report())


def _judge(url: str | None, model: str | None, key_variable: str) -> Judge | None:
    from reasonlens.rundir import InputError
    from reasonlens.traces.judge import Judge

    if url is None and model is None:
        return None
    if url is None or model is None:
        raise InputError("a judge needs both --judge-url and --judge-model")
    return Judge(url=url, model=model, key_variable=key_variable)


def _pairs(
    base: str, thinking: Sequence[str], problems: str | None, settings: HybridSettings, device: str | None
) -> list[Pair]:
    import reasonlens
    from reasonlens.pairs.hybrid.pair import organism_pair, question_pair
    from reasonlens.traces.problem_sets import PROCEDURAL, open_problem_set

    n_train, n_validation, n_test = settings.n_train, settings.n_validation, settings.n_test
    if problems is None:
        if other := [name for name in (base, *thinking) if not name.startswith("organism/")]:
            raise reasonlens.InputError(
                f"{' and '.join(other)} {'need' if len(other) > 1 else 'needs'} problems to solve: give --problems: "
                "gsm8k, math-500, reasoning-gym:KIND or a file of questions and answers"
            )
        return [
            organism_pair(name, base, n_train=n_train, n_validation=n_validation, n_test=n_test, seed=settings.seed)
            for name in thinking
        ]
    n = n_train + n_validation + n_test if problems.startswith(PROCEDURAL) else None
    asked = open_problem_set(problems, n, seed=settings.seed)
    own = reasonlens.load(base, device=device)
    pairs = []
    for name in thinking:
        led = reasonlens.load(name, device=device)
        pair = question_pair(
            own, led, asked.questions, n_train=n_train, n_validation=n_validation, n_test=n_test, grader=asked.grader
        )
        pairs.append(pair)
    if len(pairs[0].test) < n_test:
        note(f"{problems}: {len(pairs[0].test)} questions are left to test on, of {n_test} asked for")
    return pairs


def _print(result: HybridResult) -> None:
    arms = result.arms()
    for name in arms:
        _print_arms(name, arms[name])
    if len(arms) > 1:
        _print_summary(arms)
    for name, verdict in result.verdicts().items():
        typer.echo(f"{name}: {verdict}")
    for name, judged in result.judged.items():
        typer.echo(f"{name}, by {judged.model}: {judged.gap.share.value:.3f} of the gap")
        for arm, agreement in judged.agreement.items():
            typer.echo(f"  {arm}: judge and rule {agreement}")


def _print_summary(pairs: dict[str, dict[str, ArmResult]]) -> None:
    """Print a row for each pair: the hybrid beside the best of its controls."""
    from reasonlens.pairs.hybrid.arms import CONTROLS

    rows = []
    for name, arms in pairs.items():
        controls = {arm: arms[arm].gap for arm in CONTROLS if arm in arms and arms[arm].gap == arms[arm].gap}
        best = max(controls, key=lambda arm: controls[arm], default="")
        rows.append(
            (
                name,
                number(arms["base"].accuracy),
                number(arms["thinking"].accuracy),
                _gap(arms["hybrid"]),
                f"{arms['hybrid'].steered:.1%}",
                number(arms["probe-gated"].gap if "probe-gated" in arms else None),
                f"{controls[best]:.3f} ({best})" if best else UNKNOWN,
                str(arms["hybrid"].n),
            )
        )
    print_table(
        (
            *("thinking model", "base", "thinking", "hybrid: gap recovered", "steered", "probe-gated"),
            *("best control", "n"),
        ),
        rows,
        title="pairs side by side",
    )


def _print_arms(pair: str, arms: dict[str, ArmResult]) -> None:
    print_table(
        ("arm", "accuracy", "gap recovered", "steered", "changed", "p", "truncated"),
        [
            (
                name,
                interval(arm.accuracy, arm.accuracy_low, arm.accuracy_high),
                _gap(arm),
                f"{arm.steered:.1%}",
                f"{arm.changed:.1%}",
                UNKNOWN if name == "base" else f"{arm.p_mcnemar:.2g}",
                f"{arm.truncated:.1%}",
            )
            for name, arm in arms.items()
        ],
        title=f"{pair}: {next(iter(arms.values())).n} test problems",
        caption="Gap recovered: (arm - base) / (thinking - base), unclipped [95% interval over problems]. Changed: "
        "tokens that are others than the base's. p: exact McNemar test against the base.",
    )


def _gap(arm: ArmResult) -> str:
    return interval(arm.gap, arm.gap_low, arm.gap_high)
