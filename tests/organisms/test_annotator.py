"""The exact labeller where only prompt and text are known."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from reasonlens.organisms.annotator import organism_annotator, problem_of
from reasonlens.organisms.labeller import labelled
from reasonlens.organisms.policy import POOR, Writer, write
from reasonlens.organisms.task import problems
from reasonlens.rundir import InputError


def test_a_problem_is_read_back_from_its_prompt_and_labels_are_those_of_the_labeller() -> None:
    for problem in islice(problems("test", 0), 20):
        text = " ".join(write(problem, Writer(POOR), np.random.default_rng(0)))
        assert problem_of(problem.prompt) == problem
        assert organism_annotator(problem.prompt, text) == list(labelled(problem, text, "0").spans)


@pytest.mark.parametrize("change", [("fine", "wrong"), ("one", "two"), (" .", ""), ("wrong", "sour")])
def test_a_prompt_that_puts_no_problem_is_refused(change: tuple[str, str]) -> None:
    prompt = next(problems("test", 0)).prompt
    with pytest.raises(InputError, match="puts no problem of the organisms"):
        problem_of(prompt.replace(*change, 1))
