"""Grade published answers anew and put an interval on what they show: `reasonlens regrade`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasonlens.cli.console import UNKNOWN, next_command, note, print_json, print_table, say
from reasonlens.cli.options import Json, OutDirectoryOrNone, Quiet, path_of


def regrade(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="JSON of published answers, problem by problem.", parser=path_of),
    ],
    base_key: Annotated[str, typer.Option(help="Field of the base's answer.")] = "base_model",
    thinking_key: Annotated[str, typer.Option(help="Field of the thinking model's answer.")] = "thinking_model",
    hybrid_key: Annotated[str, typer.Option(help="Field of the hybrid's answer.")] = "hybrid_model",
    tasks_key: Annotated[str, typer.Option(help="Field of the list of problems.")] = "tasks",
    question_key: Annotated[str, typer.Option(help="Field of the question.")] = "question",
    answer_key: Annotated[str, typer.Option(help="Field of the reference answer.")] = "correct_answer",
    answers_key: Annotated[str, typer.Option(help="Field of the models' answers.")] = "model_answers",
    out: OutDirectoryOrNone = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Grade published answers of a base, a thinking model and a hybrid by rule: accuracies and gap with intervals.

    A published "91% of the gap" has no interval. Answers are graded right, wrong or unsure; published counts stand
    beside ours.
    """
    import reasonlens

    keys = reasonlens.PublishedKeys(
        base=base_key,
        thinking=thinking_key,
        hybrid=hybrid_key,
        tasks=tasks_key,
        question=question_key,
        answer=answer_key,
        answers=answers_key,
    )
    result = reasonlens.regrade(file, keys)
    if out is not None:
        result.write(out)
        note(f"report: {out / 'report.html'}")
    if as_json:
        print_json(result.to_dict())
    else:
        print_table(
            ("arm", "accuracy", "right", "published", "unsure", "p against the hybrid"),
            [
                (
                    name,
                    str(arm.accuracy),
                    str(arm.n_right),
                    UNKNOWN if arm.n_published is None else str(arm.n_published),
                    f"{arm.unsure:.1%}",
                    UNKNOWN if name == "hybrid" else f"{arm.p_against_hybrid:.2g}",
                )
                for name, arm in result.arms.items()
            ],
            title=f"{result.n_questions} questions, {result.arms['base'].accuracy.n} different: value [95% interval]",
            caption="Unsure: the rule cannot tell; not counted as right. p: sign-flip test over problems.",
        )
        say(result.gap.no_gap or f"the hybrid recovers {result.gap.share} of the gap")
    next_command("hybrid", "--quick")
