"""The tables of the steer commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from reasonlens.analysis.effect import DoseCurves


def print_table(table: Table) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 124
    console.print(table)


def layer_table(found: DoseCurves) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    accuracy = found.unsteered.accuracy()
    table = Table(
        title=Text(
            f"{found.about['model']['name']}: {len(found.unsteered.n_sentences)} problems"
            + (f", unsteered accuracy {accuracy}" if accuracy else "")
        ),
        caption="Change of the behaviour's rate [95% interval over problems] at the strength of the largest, beside "
        "the mean and the largest of random directions; p: rank among them, not corrected for that choice. KL: nats a "
        "token on neutral text. Ranks: 1 for the best layer.",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("behaviour", overflow="fold")
    for column in ("layer", "strength", "change of rate", "random", "p", "KL", "AUROC", "rank: effect", "AUROC"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found.by_layer().to_dict("records"):
        table.add_row(
            Text(row["behaviour"]),
            str(row["layer"]),
            f"{row['strength']:g}",
            Text(f"{row['effect']:+.3f} [{row['effect_low']:+.3f}, {row['effect_high']:+.3f}]"),
            f"{row['random_mean']:+.3f}, {row['random_max']:+.3f}",
            f"{row['p_value']:.3f}",
            f"{row['kl_nats']:.2f}",
            _known(row["auroc"], ".3f"),
            _known(row["rank_effect"], ".0f"),
            _known(row["rank_auroc"], ".0f"),
        )
    return table


def matrix_table(effects: Any) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, caption="p: rank among random directions of the same dose.", caption_justify="left"
    )
    for column in ("directions of", "steered", "strength", "change of rate", "p", "KL", "n"):
        table.add_column(column, justify="left" if column in ("directions of", "steered") else "right")
    for row in effects.to_dict("records"):
        table.add_row(
            Text(row["source"]),
            Text(row["target"]),
            f"{row['strength']:g}",
            Text(f"{row['effect']:+.3f} [{row['effect_low']:+.3f}, {row['effect_high']:+.3f}]"),
            f"{row['p_value']:.3f}",
            f"{row['kl_nats']:.2f}",
            str(row["n_problems"]),
        )
    return table


def _known(value: float, form: str) -> str:
    return "–" if value != value else format(value, form)
