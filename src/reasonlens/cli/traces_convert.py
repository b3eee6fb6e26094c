"""Convert what another tool wrote to a file of traces: `reasonlens traces convert`."""

from __future__ import annotations

from reasonlens.cli.console import next_command, say
from reasonlens.cli.options import OutFile, Quiet, TracesFields, TracesFile, TracesForm, field_names


def convert(
    file: TracesFile,
    out: OutFile,
    form: TracesForm = None,
    field: TracesFields = None,
    quiet: Quiet = False,
) -> None:
    """Convert a file of any form to JSON lines, which every command reads without options.

    Example: `reasonlens traces convert answers.csv --field text=model_answer --field problem=id --out traces.jsonl`

    Fields are sought by usual names (a prompt: prompt, question, problem, ...; a response: text, response, output,
    completion, generation, ...); one line says what was taken, and what was not. Of chat messages, the last one of the
    assistant is the text. Thoughts in a field of their own stand in `<think>` before the answer.
    """
    import reasonlens

    n_traces = reasonlens.traces_convert(file, out, form=form, fields=field_names(field))
    say(f"{out}: {n_traces} traces")
    next_command("traces", "check", out)
