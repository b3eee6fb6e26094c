"""`reasonlens hybrid`: a base model steered when a thinking model would, with every control."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import note, user_errors

if TYPE_CHECKING:
    from rich.table import Table

    from reasonlens.pairs.hybrid import HybridResult, HybridSettings
    from reasonlens.pairs.hybrid.measure import ArmResult
    from reasonlens.pairs.hybrid.pair import Pair
    from reasonlens.traces.judge import Judge


def hybrid(
    base: Annotated[
        str, typer.Option(help="Model that writes: hub id, directory, .gguf, or built in.")
    ] = "organism/base",
    thinking: Annotated[
        str,
        typer.Option(help="Model that says when, or several joined by commas: each makes a pair with the base."),
    ] = "organism/rl,organism/sft,organism/random-reward",
    problems: Annotated[
        str | None,
        typer.Option(
            help="`gsm8k`, `math-500`, `reasoning-gym:KIND`, or a JSONL or Parquet file of `question` and `answer`; "
            "organisms have problems of their own."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Directory for results.json, report.html and everything that is made on the way.")
    ] = Path("runs/hybrid"),
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from what is in --out, or begin anew.")
    ] = True,
    arms: Annotated[str | None, typer.Option(help="Arms to run, joined by commas; default all.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Main arms only, on 200 test problems.")] = False,
    mechanism: Annotated[
        str,
        typer.Option(help="How vectors are found: `optimised`, `mean-difference`, or `joint` with their strengths."),
    ] = "optimised",
    gate: Annotated[
        str,
        typer.Option(help="When to steer: `disagreement`, `boundary` (of sentences), or `divergence:NATS`."),
    ] = "disagreement",
    strength: Annotated[
        str, typer.Option(help="How much: `constant`, `per-behaviour`, or by a `network` on the base's activation.")
    ] = "constant",
    layers: Annotated[
        str | None, typer.Option(help="Blocks to try: `1,2`, `8:20:4`; default a quarter, half and three quarters up.")
    ] = None,
    strengths: Annotated[
        str, typer.Option(help="Strengths to try, in mean residual norms; of a network's strengths, multiples.")
    ] = "0.5,1,1.5",
    train: Annotated[int, typer.Option(help="Problems on which the thinking model writes.", min=10)] = 400,
    validation: Annotated[int, typer.Option(help="Problems on which layer and strength are chosen.", min=5)] = 150,
    test: Annotated[
        int | None, typer.Option(help="Problems on which everything is measured; default 1000.", min=10)
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Length of responses.", min=1)] = 112,
    temperature: Annotated[float, typer.Option(help="Of the arms; 0: greedy, as published.", min=0)] = 0.0,
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
    seed: Annotated[int, typer.Option(help="Of problems, vectors and controls.", min=0)] = 0,
    device: Annotated[str | None, typer.Option(help="`cpu`, `cuda`; default CUDA where there is one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of the tables.")] = False,
) -> None:
    """How much of the gap to a thinking model does a base model recover, steered at the moments that model picks?

    With no weight updates: vectors are made from the thinking model's own text, one block of the base is pushed along
    them where the two would say different tokens (or where a probe on the base says so), and everything that could
    explain the gain in another way is run beside it. Without options: the built-in pairs, where the truth is known.
    """
    with user_errors():
        from reasonlens.pairs.hybrid import HybridResult
        from reasonlens.pairs.hybrid.judging import check_answers, judge_pair
        from reasonlens.pairs.hybrid.run import forget, run_pair

        settings = _settings(
            quick, arms, mechanism, gate, strength, layers, strengths, train, validation, test, max_new_tokens,
            temperature, rows, cache_gigabytes, seed,
        )  # fmt: skip
        judge = _judge(judge_url, judge_model, judge_key_variable)
        pairs = _pairs(base, [name.strip() for name in thinking.split(",")], problems, settings, device)
        runs, judged = [], {}
        for pair in pairs:
            if judge is not None:
                check_answers(pair)
        folders = {pair.name: out / pair.name.replace("/", "--") for pair in pairs}
        for pair in pairs:
            if not resume:
                forget(folders[pair.name])
            runs.append(run_pair(pair, settings, out=folders[pair.name]))
        found = HybridResult(pairs=tuple(runs), settings=settings)
        _write(found, out)
        if judge is not None:
            for run in runs:
                note(f"{run.pair.name}: {judge.model} grades final answers")
                judged[run.pair.name] = judge_pair(run, judge, folders[run.pair.name] / "judge.jsonl")
            found = HybridResult(pairs=tuple(runs), settings=settings, judged=judged)
            _write(found, out)
    if as_json:
        typer.echo((out / "results.json").read_text("utf-8"), nl=False)
    else:
        _print(found)
    note(f"report: {out / 'report.html'}")


def _write(found: HybridResult, out: Path) -> None:
    from reasonlens.rundir import write_json, write_text

    write_json(out / "results.json", found.to_dict())
    found.to_frame().to_csv(out / "arms.csv", index=False)
    write_text(out / "report.html", found.report())


def _settings(
    quick: bool, arms: str | None, mechanism: str, gate: str, strength: str, layers: str | None, strengths: str,
    train: int, validation: int, test: int | None, max_new_tokens: int, temperature: float, rows: int,
    cache_gigabytes: float, seed: int,
) -> HybridSettings:  # fmt: skip
    from typing import Any

    from reasonlens.activations.layers import parse_layers
    from reasonlens.generation import Sampling
    from reasonlens.pairs.hybrid import HybridSettings
    from reasonlens.rundir import InputError

    try:
        given: dict[str, Any] = {"strengths": tuple(float(each) for each in strengths.split(","))}
    except ValueError as error:
        raise InputError(f"strengths are numbers joined by commas, and {strengths!r} is not") from error
    given |= {
        "mechanism": mechanism,
        "gate": gate,
        "strength": strength,
        "n_train": train,
        "n_validation": validation,
        "n_rows": rows,
        "cache_gigabytes": cache_gigabytes,
        "seed": seed,
        "layers": None if layers is None else tuple(parse_layers(layers, 10_000)),
        "rollout": Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=max_new_tokens),
        "sampling": Sampling(n_samples=1, temperature=temperature, max_new_tokens=max_new_tokens),
    }
    if arms is not None:
        given["arms"] = tuple(name.strip() for name in arms.split(","))
    if test is not None:
        given["n_test"] = test
    return HybridSettings.quick(**given) if quick else HybridSettings(**given)


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


def _print(found: HybridResult) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 124
    arms = found.arms()
    for name in arms:
        console.print(_table(found, name))
    if len(arms) > 1:
        console.print(_summary(found))
    for name, verdict in found.verdicts().items():
        console.print(f"{name}: {verdict}", markup=False)
    for name, judged in found.judged.items():
        console.print(f"{name}, by {judged.model}: {judged.gap.share.value:.3f} of the gap", markup=False)
        for arm, agreement in judged.agreement.items():
            console.print(f"  {arm}: judge and rule {agreement}", markup=False)


def _summary(found: HybridResult) -> Table:
    """A row for each pair: the hybrid beside the best of its controls."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from reasonlens.pairs.hybrid.arms import CONTROLS

    table = Table(title=Text("pairs side by side"), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("thinking model")
    for column in ("base", "thinking", "hybrid: gap recovered", "steered", "probe-gated", "best control", "n"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, arms in found.arms().items():
        probe = arms.get("probe-gated")
        controls = {arm: arms[arm].gap for arm in CONTROLS if arm in arms and arms[arm].gap == arms[arm].gap}
        best = max(controls, key=lambda arm: controls[arm], default="")
        table.add_row(
            Text(name),
            f"{arms['base'].accuracy:.3f}",
            f"{arms['thinking'].accuracy:.3f}",
            Text(_gap(arms["hybrid"])),
            f"{arms['hybrid'].steered:.1%}",
            "–" if probe is None or probe.gap != probe.gap else f"{probe.gap:.3f}",
            f"{controls[best]:.3f} ({best})" if best else "–",
            str(arms["hybrid"].n),
        )
    return table


def _table(found: HybridResult, pair: str) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    arms = found.arms()[pair]
    n = next(iter(arms.values())).n
    table = Table(
        title=Text(f"{pair}: {n} test problems"),
        caption="Gap recovered: (arm - base) / (thinking - base), unclipped [95% interval over problems]. Changed: "
        "tokens that are others than the base's. p: exact McNemar test against the base.",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("arm")
    for column in ("accuracy", "gap recovered", "steered", "changed", "p", "truncated"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, each in arms.items():
        table.add_row(
            Text(name),
            Text(f"{each.accuracy:.3f} [{each.accuracy_low:.3f}, {each.accuracy_high:.3f}]"),
            Text(_gap(each)),
            f"{each.steered:.1%}",
            f"{each.changed:.1%}",
            "–" if name == "base" else f"{each.p_mcnemar:.2g}",
            f"{each.truncated:.1%}",
        )
    return table


def _gap(arm: ArmResult) -> str:
    return "–" if arm.gap != arm.gap else f"{arm.gap:.3f} [{arm.gap_low:.3f}, {arm.gap_high:.3f}]"
