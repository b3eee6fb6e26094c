"""The exact labeller as an annotator: prompts are read back, labels are those of the traces."""

from __future__ import annotations

from itertools import islice

import pytest

from reasonlens import InputError
from reasonlens.organisms import (
    DOUBLES,
    organism_annotator,
    organisms_traces,
    problem_of,
    problems,
    prompt,
)


def test_every_prompt_is_read_back_as_its_problem() -> None:
    for families in (None, DOUBLES):
        for problem in islice(problems("test", seed=0, families=families), 200):
            assert problem_of(prompt(problem)) == problem


def test_the_traces_of_an_organism_are_labelled_as_they_are_and_leading_space_shifts_nothing_else() -> None:
    for trace in organisms_traces("organism/rl", 30, seed=3):
        assert organism_annotator(trace.prompt, trace.text) == list(trace.spans)
        shifted = organism_annotator(trace.prompt, f" {trace.text}")
        assert [(span.start - 1, span.end - 1, span.label) for span in shifted] == [
            (span.start, span.end, span.label) for span in trace.spans
        ]


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "What is 2 + 2?",
        "numbers 3 red 12 blue . target 19",
        "numbers 3 green 12 blue . target 15 .",
        "numbers 3 red 3 blue . target 6 .",
        "numbers 03 red 12 blue . target 15 .",
        "numbers . target 15 .",
    ],
)
def test_another_prompt_is_refused_with_an_example_of_the_right_form(asked: str) -> None:
    with pytest.raises(InputError, match="puts no problem of the organisms, which are put like 'numbers 3 red"):
        organism_annotator(asked, "we want 19 .")
