"""Show traces with their labels in colours: `reasonlens traces show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import next_command, note, one_line, print_rich, visible
from reasonlens.cli.options import Html, Quiet, TracesFields, TracesFile, TracesForm, field_names

if TYPE_CHECKING:
    from rich.text import Text

    from reasonlens.figures.labelled import LabelledText


def show(
    file: TracesFile,
    ids: Annotated[list[str] | None, typer.Option("--id", help="A trace to show; as often as needed.")] = None,
    n_traces: Annotated[int, typer.Option("--n", help="How many responses.", min=1)] = 3,
    html: Html = None,
    form: TracesForm = None,
    field: TracesFields = None,
    quiet: Quiet = False,
) -> None:
    """Show traces with their labels in colours, each span with its label in front.

    Example: `reasonlens traces show bundled --n 1`

    Shows the first `--n`, or those of `--id`. What models wrote is shown as text: no character of it commands the
    terminal or the page.
    """
    import reasonlens

    shown = reasonlens.traces_show(file, ids=ids, n=n_traces, form=form, fields=field_names(field))
    if html is None:
        print_rich(*rendered(shown.texts()))
        next_command("traces", "show", file, "--html", "traces.html")
    else:
        shown.to_html(html)
        note(f"page: {html}")
        next_command("traces", "check", file)


def rendered(texts: list[LabelledText]) -> Iterator[Text]:
    """Lay out the counts of the labels, then each text with its labels."""
    from rich.text import Text

    from reasonlens.figures.labelled import COLOURS, label_counts, pieces

    counts = label_counts(texts)
    style = {label: COLOURS[place % len(COLOURS)] for place, label in enumerate(counts)}
    key = Text()
    for name, count in counts.items():
        key.append(f" {one_line(name)} {count} ", style=f"white on {style[name]}").append(" ")
    yield key
    for text in texts:
        yield Text(one_line(text.name), style="bold underline")
        if text.prompt:
            yield Text(visible(text.prompt), style="dim")
        body = Text()
        for piece, beginning, label in pieces(text):
            for begun in beginning:
                body.append(f"[{one_line(begun)}]", style=f"white on {style[begun]}").append(" ")
            body.append(visible(piece), style="" if label is None else style[label])
        yield body.append("\n")
