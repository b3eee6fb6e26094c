"""Count which behaviours models show, and which follows which: `reasonlens profile`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reasonlens.cli.console import next_of_pair, note, print_json, print_table, read_json, say
from reasonlens.cli.options import (
    TRAINED_ORGANISMS,
    Base,
    Device,
    Json,
    MaxNewTokens,
    OutDirectory,
    Problems,
    Quick,
    Quiet,
    Rows,
    Samples,
    Seed,
    Temperature,
    TestProblems,
    Thinking,
    name_or_path,
)


def profile(
    base: Base = None,
    thinking: Thinking = TRAINED_ORGANISMS,
    problems: Problems = None,
    out: OutDirectory = Path("runs/profile"),
    quick: Quick = False,
    test: TestProblems = None,
    samples: Samples = 4,
    max_new_tokens: MaxNewTokens = 287,
    temperature: Temperature = 1.0,
    rows: Rows = 250,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Count which behaviours a base and models trained from it show, and which follows which.

    Over all responses, the right and the wrong ones, with differences from the base; a control compares the base with
    other samples of itself. 200 test problems by default; `--quick` takes a quarter.
    """
    import reasonlens
    from reasonlens.generation import Sampling

    settings = reasonlens.ProfileSettings(
        sampling=Sampling(n_samples=samples, temperature=temperature, top_p=1.0, max_new_tokens=max_new_tokens),
        n_rows=rows,
        seed=seed,
    )
    settings = settings.quicker() if quick else settings
    if test is not None:
        settings = replace(settings, n_test=test)
    result = reasonlens.profile(
        base, [name_or_path(name) for name in thinking], problems, settings=settings, out=out, device=device
    )
    if as_json:
        print_json(read_json(out / "results.json"))
    else:
        print_table(
            ("pair", "model", "responses", "n", "accuracy of all", "sentences", "differ from the base's"),
            [
                (
                    name,
                    one.model,
                    one.responses,
                    str(one.n_responses),
                    str(one.accuracy),
                    str(one.sentences),
                    f"{one.n_differing[0]} of {one.n_differing[1]}",
                )
                for name, profiles in result.pairs.items()
                for one in profiles
            ],
            title="Behaviours: value [95% interval over problems]",
            caption="Differ: rates and transitions whose difference from the base's is away from 0 by its interval.",
        )
        for sentence in result.in_words():
            say(sentence)
    note(f"report: {out / 'report.html'}")
    next_of_pair("likelihood", base, name_or_path(thinking[0]), problems, "--quick")
