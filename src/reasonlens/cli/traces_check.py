"""Check traces before they cost anything: `reasonlens traces check`."""

from __future__ import annotations

from typing import Annotated

import typer

from reasonlens.cli.console import next_command, note, print_json, print_table, say
from reasonlens.cli.options import (
    Device,
    Folds,
    Json,
    ModelOrNone,
    Quiet,
    Template,
    TracesFields,
    TracesForm,
    field_names,
    name_or_path,
)

N_EXAMPLES = 3  # in the table


def check(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Files of traces in any form, or `bundled`; several are also compared with one another.",
            parser=name_or_path,
        ),
    ],
    model: ModelOrNone = None,
    template: Template = "auto",
    folds: Folds = 5,
    form: TracesForm = None,
    field: TracesFields = None,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check traces: duplicates, empty texts and spans, overlaps, labels in too few problems, leaks between files.

    Example: `reasonlens traces check train.jsonl test.jsonl --model smollm2-135m`

    With `--model`, texts that are longer than its context, or whose words its tokenizer does not know, are listed too.
    Exits with 1 where something must be mended, first in the table; the rest is for information.
    """
    import reasonlens
    from reasonlens.analysis.trace_findings import KINDS

    checked = reasonlens.traces_check(
        *files,
        model=model,
        template=template,
        n_folds=folds,
        form=form,
        fields=field_names(field),
        device=device,
    )
    if as_json:
        print_json(checked.to_dict())
    else:
        print_table(
            ("file", "traces", "problems", "spans"),
            [
                tuple(map(str, row))
                for row in zip(checked.files, checked.n_traces, checked.n_problems, checked.n_spans, strict=True)
            ],
        )
        findings = sorted(checked.findings, key=lambda finding: not finding.is_wrong)
        if findings:
            print_table(
                ("", "what", "file", "which", "n"),
                [
                    (
                        "mend" if finding.is_wrong else "know",
                        finding.kind,
                        finding.file,
                        "; ".join(finding.examples[:N_EXAMPLES]) + (" ..." if finding.n > N_EXAMPLES else ""),
                        str(finding.n),
                    )
                    for finding in findings
                ],
                n_names=4,
            )
            for kind in dict.fromkeys(finding.kind for finding in findings):
                say(f"{kind}: {KINDS[kind][1]}")
        else:
            say("nothing to mend")
    if any(len(finding.examples) > N_EXAMPLES for finding in checked.findings) and not as_json:
        note("--json lists the first 20 of each")
    if checked.is_wrong:
        next_command("traces", "show", files[0])
        raise typer.Exit(1)
    if not checked.labels:
        next_command("label", files[0], "--by", "keywords", "--out", "labelled.jsonl")
        return
    next_command("locate", "--traces", files[0], *(() if model is None else ("--model", model)))
