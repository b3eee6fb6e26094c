"""Score new text with saved probes, token by token, as coloured text, a page or JSON: `reasonlens score`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasonlens.cli.console import next_command, note, print_json, print_rich, visible
from reasonlens.cli.loading import load_named
from reasonlens.cli.options import (
    Behaviours,
    Device,
    Force,
    Html,
    Json,
    LayerOrNone,
    ModelOrNone,
    PromptOrNone,
    Quiet,
    Template,
    TracesOrNone,
    Truncate,
    path_of,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from reasonlens.analysis.scored_text import ScoredText
    from reasonlens.analysis.token_scores import TokenScores
    from reasonlens.traces import Trace

LONGEST = 300  # characters of a text that the next command repeats
N_TEXTS = 3  # shown on a terminal
N_TOKENS = 5  # strongest ones listed for each behaviour
N_AROUND = 24  # characters on either side of a listed token


def score(
    probes: Annotated[
        Path,
        typer.Argument(
            metavar="PROBES", help="File of probes: probes.safetensors of `locate` or `probe`.", parser=path_of
        ),
    ],
    model: ModelOrNone = None,
    text: Annotated[str | None, typer.Option(help="Text to score; without --text and --traces, stdin is read.")] = None,
    traces: TracesOrNone = None,
    prompt: PromptOrNone = None,
    behaviours: Behaviours = None,
    layer: LayerOrNone = None,
    html: Html = None,
    as_json: Json = False,
    force: Force = False,
    template: Template = "auto",
    truncate: Truncate = False,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Score text with saved probes: the log odds of each behaviour at every token and sentence.

    Example: `reasonlens score runs/.../probes.safetensors --text "It is 4. Wait, no." --behaviours backtracking`

    Prints the text, orange where a behaviour is likelier than among the spans of the training and blue where it is
    less likely, and the strongest tokens. `--html` writes the same as a page with every number. By default reads the
    model that the probes were trained on, at each behaviour's best layer; `--traces` need no labels.

    A probe was trained on sentences, and single tokens are noisy cases for it; the score of a sentence is what the
    figures of `locate` speak of. From Python: `reasonlens.score(model, texts, probes)`.
    """
    import reasonlens
    from reasonlens.probes.saved import SavedProbes

    texts = _texts(text, traces, prompt)
    opened = SavedProbes.open(probes)
    for behaviour in behaviours or ():
        opened.layer_of(behaviour)  # before the model is loaded, which takes a while
    scores = reasonlens.score(
        load_named(model, opened.model, probes, device),
        texts,
        opened,
        behaviours=behaviours,
        layer=layer,
        template=template,
        truncate=truncate,
        force=force,
    )
    if as_json:
        print_json(scores.to_dict())
    else:
        print_rich(*rendered(scores))
    options = {
        "--model": model,
        "--traces": traces,
        "--text": None if traces else texts[0].text,
        "--prompt": prompt,
        "--behaviours": ",".join(behaviours) if behaviours else None,
        "--layer": layer,
        "--template": None if template == "auto" else template,
    }
    again = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
    if html is None and all(len(word) <= LONGEST and "\n" not in word for word in again):
        switches = ["--truncate"] * truncate + ["--force"] * force
        next_command("score", probes, *again, *switches, "--html", "scores.html")
        return
    if html is not None:
        scores.to_html(html)
        note(f"page: {html}")
    next_command("locate", "--model", scores.model["name"])


def rendered(scores: TokenScores) -> Iterator[RenderableType]:
    """Lay out each of the first texts and behaviours: its coloured text and its strongest tokens."""
    from rich.text import Text

    unit = "log odds" if scores.are_log_odds else "score"
    for scored in scores.texts[:N_TEXTS]:
        yield Text(visible(scored.trace.id), style="bold underline")
        for index, behaviour in enumerate(scores.behaviours):
            prior = scores.priors[behaviour]
            known = "" if prior is None else f", {prior:+.2f} for any training span"
            head = f"{visible(behaviour)}, layer {scores.layers[behaviour]}; {unit}{known}"
            yield Text(head, style="bold")
            yield _coloured(scored, index, behaviour, prior or 0.0)
            yield _strongest(scored, index, scores.are_log_odds)
    if len(scores.texts) > N_TEXTS:
        yield Text(f"… and {len(scores.texts) - N_TEXTS} more texts: --html or --json gives all", style="dim")


def _texts(text: str | None, traces: str | None, prompt: str | None) -> list[Trace]:
    from reasonlens.rundir import InputError
    from reasonlens.traces import Trace, resolve_traces

    if text is not None and traces is not None:
        raise InputError("give one of --text and --traces, not both")
    if traces is not None:
        if prompt:
            raise InputError("--prompt goes with --text; traces have prompts of their own")
        return resolve_traces(traces)
    if text is None:
        if sys.stdin.isatty():
            raise InputError("there is nothing to score: give --text, --traces, or pipe a text in")
        try:
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"what came on stdin is no UTF-8 text ({error})") from error
    return [Trace("text", prompt or "", text)]


def _coloured(scored: ScoredText, index: int, behaviour: str, centre: float) -> Text:
    """Colour in shades that show on a white and a black terminal alike; spans labelled `behaviour` are underlined."""
    import numpy as np
    from rich.text import Text

    from reasonlens.figures.palette import SECOND, SIGNAL

    distances = scored.log_odds[index] - centre
    known = np.abs(distances[~np.isnan(distances)])
    scale = float(np.quantile(known, 0.95)) if len(known) else 1.0
    coloured, shown = Text(), 0
    for start, end, token in scored.stretches():
        coloured.append(visible(scored.trace.text[shown:start]))
        strength = abs(distances[token]) / (scale or 1.0)
        above = distances[token] > 0
        style = (
            f"white on {SECOND if above else SIGNAL}" if strength > 0.6 else SECOND if above and strength > 0.3 else ""
        )
        coloured.append(visible(scored.trace.text[start:end]), style=style)
        shown = end
    coloured.append(visible(scored.trace.text[shown:]))
    for span in scored.trace.spans:
        if span.label == behaviour:
            coloured.stylize("underline", span.start, span.end)
    return coloured


def _strongest(scored: ScoredText, index: int, are_log_odds: bool) -> RenderableType:
    import numpy as np
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from reasonlens.analysis.token_scores import probability

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("log odds", "probability") if are_log_odds else ("score",):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("strongest")
    table.add_column("where it stands")

    def add(log_odds: float, what: Text, where: Text) -> None:
        chance = [f"{probability(np.array([log_odds]))[0]:.3f}"] if are_log_odds else []
        table.add_row(f"{log_odds:+.2f}", *chance, what, where)

    text, of_tokens, of_sentences = scored.trace.text, scored.log_odds[index], scored.sentence_log_odds[index]
    stretches = [stretch for stretch in scored.stretches() if not np.isnan(of_tokens[stretch[2]])]
    for start, end, token in sorted(stretches, key=lambda stretch: -of_tokens[stretch[2]])[:N_TOKENS]:
        before, after = text[max(start - N_AROUND, 0) : start], text[end : end + N_AROUND]
        where = _line(before, "dim") + _line(text[start:end], "bold") + _line(after, "dim")
        add(of_tokens[token], _line(text[start:end].replace(" ", "␣")), where)
    if not np.isnan(of_sentences).all():
        best = int(np.nanargmax(of_sentences))
        add(of_sentences[best], Text("(sentence)"), _line(scored.trace.text_of(scored.sentences[best])))
    return table


def _line(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(visible(text).replace("\n", "⏎"), style=style)
