"""Put two runs side by side: `reasonlens compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasonlens.cli.console import next_command, note, print_json, print_table, say
from reasonlens.cli.options import Json, OutDirectoryOrNone, Quiet, path_of

N_ROWS = 20


def compare(
    first: Annotated[
        Path, typer.Argument(metavar="RUN", help="Directory of the run that is looked at.", parser=path_of)
    ],
    second: Annotated[
        Path, typer.Argument(metavar="RUN", help="Directory of the run that is subtracted.", parser=path_of)
    ],
    measure: Annotated[
        str | None, typer.Option(metavar="NAME", help="The figure to draw, such as `auroc`; default what matters most.")
    ] = None,
    out: OutDirectoryOrNone = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two runs of one command, of other models, traces or settings: differences with intervals.

    Example: `reasonlens compare runs/locate-base runs/locate-thinking --measure auroc --out compared`

    Intervals are those of both runs taken as independent: too wide where the same problems stand behind both.
    """
    import reasonlens

    result = reasonlens.compare(first, second, measure=measure)
    if out is not None:
        result.write(out)
        note(f"report: {out / 'report.html'}")
    if as_json:
        print_json(result.to_dict())
        return
    rows = result.of(result.measure)
    if result.differs:
        print_table(
            ("setting", result.first, result.second),
            [(one.name, one.first, one.second) for one in result.differs],
            title="what differs between the runs beside their figures",
            n_names=3,
        )
    largest = rows.reindex(rows["difference"].abs().sort_values(ascending=False, kind="stable").index)[:N_ROWS]
    print_table(
        (*result.keys, result.first, result.second, "difference"),
        [
            (
                *(str(row[key]) for key in result.keys),
                f"{row['first']:.3f}",
                f"{row['second']:.3f}",
                f"{row['difference']:+.3f} [{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]",
            )
            for row in largest.to_dict("records")
        ],
    )
    if len(rows) > N_ROWS:
        say(f"the {N_ROWS} largest of {len(rows)}; all of them: --json, or --out DIR")
    for sentence in result.in_words():
        say(sentence)
    if out is None:
        next_command("compare", first, second, "--out", "compared")
    else:
        next_command("runs", out)
