"""`reasonlens hybrid`: a base model steered when a thinking model would, with every control."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.console import note, user_errors

if TYPE_CHECKING:
    from rich.table import Table

    from reasonlens.analysis.hybrid import HybridResult, HybridSettings
    from reasonlens.analysis.hybrid.pair import Pair


def hybrid(
    base: Annotated[
        str, typer.Option(help="Model that writes: hub id, directory, .gguf, or built in.")
    ] = "organism/base",
    thinking: Annotated[
        str,
        typer.Option(help="Model that says when, or several joined by commas; of organisms: rl, sft, random-reward."),
    ] = "organism/rl,organism/sft",
    problems: Annotated[
        str | None,
        typer.Option(
            help="`gsm8k`, `math-500`, `reasoning-gym:KIND`, or a JSONL file of `question` and `answer`; organisms "
            "have problems of their own."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Directory for results.json, report.html and every answer; the same command resumes.")
    ] = Path("runs/hybrid"),
    arms: Annotated[str | None, typer.Option(help="Arms to run, joined by commas; default all.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Seven arms and 200 test problems.")] = False,
    layers: Annotated[
        str | None, typer.Option(help="Blocks to try: `1,2`, `8:20:4`; default a quarter, half and three quarters up.")
    ] = None,
    doses: Annotated[str, typer.Option(help="Doses to try, in mean residual norms.")] = "0.5,1,1.5",
    train: Annotated[int, typer.Option(help="Problems on which the thinking model writes.", min=10)] = 400,
    validation: Annotated[int, typer.Option(help="Problems on which layer and dose are chosen.", min=5)] = 150,
    test: Annotated[
        int | None, typer.Option(help="Problems on which everything is measured; default 1000.", min=10)
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Length of responses.", min=1)] = 112,
    temperature: Annotated[float, typer.Option(help="Of the arms; 0: greedy, as published.", min=0)] = 0.0,
    rows: Annotated[int, typer.Option(help="Problems that are decoded together.", min=1)] = 250,
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
        from reasonlens.analysis.hybrid import HybridResult
        from reasonlens.analysis.hybrid.run import run_pair
        from reasonlens.analysis.run_directory import write_json, write_text

        settings = _settings(
            quick, arms, layers, doses, train, validation, test, max_new_tokens, temperature, rows, seed
        )
        runs = []
        for name in thinking.split(","):
            pair = _pair(base, name.strip(), problems, settings, device)
            runs.append(run_pair(pair, settings, out=out / pair.name.replace("/", "--"), note=note))
        found = HybridResult(pairs=tuple(runs), settings=settings)
        write_json(out / "results.json", found.to_dict())
        found.to_frame().to_csv(out / "arms.csv", index=False)
        write_text(out / "report.html", found.report())
    if as_json:
        typer.echo((out / "results.json").read_text("utf-8"), nl=False)
    else:
        from rich.console import Console

        console = Console()
        if not console.is_terminal:
            console.width = 124
        for name, verdict in found.verdicts().items():
            console.print(_table(found, name))
            console.print(verdict, markup=False)
            console.print()
    note(f"report: {out / 'report.html'}")


def _settings(
    quick: bool, arms: str | None, layers: str | None, doses: str, train: int, validation: int, test: int | None,
    max_new_tokens: int, temperature: float, rows: int, seed: int,
) -> HybridSettings:  # fmt: skip
    from typing import Any

    from reasonlens.activations.layers import parse_layers
    from reasonlens.analysis.continuation import Sampling
    from reasonlens.analysis.hybrid import HybridSettings
    from reasonlens.models import InputError

    try:
        given: dict[str, Any] = {"doses": tuple(float(each) for each in doses.split(","))}
    except ValueError as error:
        raise InputError(f"doses are numbers joined by commas, and {doses!r} is not") from error
    given |= {
        "n_train": train,
        "n_validation": validation,
        "n_rows": rows,
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


def _pair(base: str, thinking: str, problems: str | None, settings: HybridSettings, device: str | None) -> Pair:
    import reasonlens
    from reasonlens.analysis.hybrid.pair import organism_pair, question_pair
    from reasonlens.traces.problem_sets import open_problem_set

    n_train, n_validation, n_test = settings.n_train, settings.n_validation, settings.n_test
    if problems is None:
        if not (base.startswith("organism/") and thinking.startswith("organism/")):
            raise reasonlens.InputError(
                f"{base} and {thinking} need problems to solve: give --problems: gsm8k, math-500, "
                "reasoning-gym:KIND or a JSONL file"
            )
        return organism_pair(
            thinking, base, n_train=n_train, n_validation=n_validation, n_test=n_test, seed=settings.seed
        )
    own, led = (reasonlens.load(name, device=device, note=note) for name in (base, thinking))
    asked = open_problem_set(problems, seed=settings.seed)
    return question_pair(
        own, led, asked.questions, n_train=n_train, n_validation=n_validation, n_test=n_test, grader=asked.grader
    )


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
        gap = "–" if each.gap != each.gap else f"{each.gap:.3f} [{each.gap_low:.3f}, {each.gap_high:.3f}]"
        table.add_row(
            Text(name),
            Text(f"{each.accuracy:.3f} [{each.accuracy_low:.3f}, {each.accuracy_high:.3f}]"),
            Text(gap),
            f"{each.steered:.1%}",
            f"{each.changed:.1%}",
            "–" if name == "base" else f"{each.p_mcnemar:.2g}",
            f"{each.truncated:.1%}",
        )
    return table
