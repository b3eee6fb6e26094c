"""Let the model of one step answer the problems, and count what came of it: the same prompts and draws at every step.

Each step has a folder of its own, with the responses and the activations that were read, which are not made again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ...models import LanguageModel, load
from ...models.content import model_digest
from ...organisms import is_organism
from ...rundir import RunDirectory, brief
from ...traces import Trace
from ...traces.questions import Question
from ..pair import Pair
from ..sampling import Response, Role, Sampler
from .checkpoints import Checkpoint
from .form import is_in_form, organism_is_in_form
from .settings import DynamicsSettings

COMMAND = "dynamics of a step"
ROLE: Role = "thinking"  # of every step: each is both models of a pair


@dataclass(frozen=True, eq=False, slots=True)
class StepCounts:
    """What the responses of one step are, problem by problem (all responses to all questions of a problem).

    Attributes:
        n: Responses.
        right: Those that are right.
        in_form: Those in form.
        right_in_form: Those that are both.
        shown: Behaviour -> how often it was shown.
        by_question: Right responses to each question.
        tokens: Of all responses.
        cut: Responses that were cut off.
        open: Of these, those that are not right and have no answer in form, and might have become right: they count
            as wrong.
        n_unsure: Responses of all problems whose grade cannot be told; they count as wrong.
    """

    n: Float[np.ndarray, " n_problems"]
    right: Float[np.ndarray, " n_problems"]
    in_form: Float[np.ndarray, " n_problems"]
    right_in_form: Float[np.ndarray, " n_problems"]
    shown: dict[str, Float[np.ndarray, " n_problems"]]
    by_question: Float[np.ndarray, " n_questions"]
    tokens: Float[np.ndarray, " n_problems"]
    cut: Float[np.ndarray, " n_problems"]
    open: Float[np.ndarray, " n_problems"]
    n_unsure: int

    __repr__ = brief

    @property
    def settled(self) -> StepCounts:
        """The same with the open responses left out: as if they were like the others of their problem."""
        return replace(self, n=self.n - self.open)


@dataclass(frozen=True, eq=False, kw_only=True)
class StepRun:
    """One step at work.

    Attributes:
        checkpoint: The step.
        pair: Whose test questions are asked, with their grader and annotator.
        settings: How is sampled.
        run: The directory of all steps.
        progress: Whether bars are shown.
        part: The folder in that of the step, for other questions than those of the test; empty: none.
    """

    checkpoint: Checkpoint
    pair: Pair
    settings: DynamicsSettings
    run: RunDirectory
    progress: bool
    part: str = ""

    __repr__ = brief

    def directory(self) -> RunDirectory:
        """Open the folder of the step."""
        folder = f"{self.checkpoint.folder}/{self.part}" if self.part else self.checkpoint.folder
        inputs = {
            "model": model_digest(self.checkpoint.model),
            "problems": self.pair.digest[:16],
            "template": self.pair.base_template,
        }
        return RunDirectory(self.run.file(folder), COMMAND, settings=self.settings.of_responses(), inputs=inputs)

    def loaded(self) -> Pair:
        """Load the model, as both models of a pair that asks all steps alike."""
        step, base = self.checkpoint.step, self.pair.base
        model = base if step == 0 else load(self.checkpoint.model, device=str(base.device))
        name = f"{self.pair.name}, step {step}"
        return replace(self.pair, name=name, base=model, thinking=model, thinking_template=self.pair.base_template)

    def responses(self, loaded: Pair, own: RunDirectory, n_samples: int | None = None) -> list[list[Response]]:
        """Write what is missing of the responses, and return those to each question.

        Args:
            loaded: The model and the questions.
            own: The folder of the step.
            n_samples: Responses to each question; None: as set.
        """
        sampling = self.settings.sampling
        sampling = sampling if n_samples is None else replace(sampling, n_samples=n_samples)
        return Sampler(
            pair=loaded,
            role=ROLE,
            sampling=sampling,
            seed=self.settings.seed,
            n_rows=self.settings.n_rows,
        ).responses(own, self.progress)


def counts_of(
    pair: Pair, responses: Sequence[Sequence[Response]], settings: DynamicsSettings
) -> tuple[StepCounts, list[list[Trace]]]:
    """Count what the responses of a step are, and label them.

    Args:
        pair: The questions, with their annotator.
        responses: To each question.
        settings: The form of answers.

    Returns:
        The counts by problem in the order of `problems_of`, and the labelled responses to each question.
    """
    problems = problems_of(pair.test)
    place = {problem: number for number, problem in enumerate(problems)}
    columns = {
        name: np.zeros(len(problems)) for name in ("n", "right", "in_form", "right_in_form", "cut", "open", "tokens")
    }
    shown: dict[str, np.ndarray] = {}
    traces: list[list[Trace]] = []
    for number, (question, some) in enumerate(zip(pair.test, responses, strict=True)):
        row = place[question.problem]
        traces.append([])
        for sample, response in enumerate(some):
            is_right = response.is_solved is True
            has_form = _has_form(pair.base, question, response, settings)
            is_cut = response.is_truncated
            is_open = is_cut and not (is_right or has_form)  # one in form has given its answer
            counted = (True, is_right, has_form, is_right and has_form, is_cut, is_open)
            for name, is_so in zip(columns, counted, strict=False):
                columns[name][row] += is_so
            columns["tokens"][row] += response.n_tokens
            spans = tuple(pair.annotator(question.prompt, response.text))
            for behaviour, times in Counter(span.label for span in spans).items():
                shown.setdefault(behaviour, np.zeros(len(problems)))[row] += times
            name = f"{number}-{sample}"
            traces[-1].append(Trace(name, question.prompt, response.text, spans, question.problem))
    every = [response for some in responses for response in some]
    counts = StepCounts(
        **columns,
        shown=shown,
        by_question=np.array([float(sum(one.is_solved is True for one in some)) for some in responses]),
        n_unsure=sum(one.is_solved is None for one in every),
    )
    return counts, traces


def problems_of(questions: Sequence[Question]) -> list[str]:
    """List the problems of some questions, each once, in their order."""
    return list(dict.fromkeys(question.problem for question in questions))


def _has_form(model: LanguageModel, question: Question, response: Response, settings: DynamicsSettings) -> bool:
    if is_organism(model):
        return organism_is_in_form(question.prompt, response.text)
    return is_in_form(response.text, is_truncated=response.is_truncated, form=settings.form)
