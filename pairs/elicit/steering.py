"""Steer the base towards one behaviour: the direction, layer and strength that do most for its answers.

1. Directions: those of a file, or the difference of means of the base's activations at the token before each labelled
   sentence, of the thinking model's responses to the training problems or, without one, of the bundled traces.
2. Layer and strength of each behaviour by the search of `steer find`, where the file does not hold them.
3. The behaviour by accuracy on the validation problems; of equals the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from math import nan

from ...activations import collect
from ...analysis.effect import FindSettings, steer_find
from ...generation import encode_prompts, write
from ...rundir import InputError
from ...traces import Trace, bundled_traces, digest
from ...traces.problem_sets import ProblemSet
from ...vectors import Directions, mean_difference_directions, steer
from ...vectors.steering.sentence_ends import SENTENCES
from ..hybrid.settings import usual_layers
from ..likelihood import TokenReading, read_texts
from .arm import AnswerAll, ArmAnswer, ElicitContext, PreparedArm, Query
from .cost import TrainingCost
from .meter import Meter
from .prompting import asking, plain

FOLDER = "arms/steering"
FORMAT_LABELS = ("nonsense",)  # never a behaviour to steer towards


def prepare_steering(context: ElicitContext) -> PreparedArm:
    """Find or take directions, choose one on validation problems, and steer with it."""
    pair, is_given = context.pair, context.directions is not None
    meter, counts = Meter(), [0]

    def chosen() -> Directions:
        directions, counts[0] = choose_direction(context)
        return directions

    with meter.watching([context.base, context.source]):
        directions = context.run.once(
            f"{FOLDER}/vectors.safetensors", chosen, save=Directions.save, open=Directions.open
        )
    (behaviour,) = directions.behaviours
    choice = directions.choices[behaviour]
    problems = {question.problem for question in (*pair.validation, *(() if is_given else pair.train))}
    return PreparedArm(
        answer=_steered(context, directions, behaviour),
        read=lambda texts: _read(context, directions, behaviour, texts),
        training=TrainingCost(
            n_problems=None if is_given else len(problems),
            n_examples=None if is_given else counts[0],
            flops=nan if is_given else meter.flops,
            about=(
                f"not known: that of the file, and {meter.flops:.3g} FLOPs to choose among its directions"
                if is_given
                else "measured: responses, activations and search"
            ),
        ),
        note=f"{behaviour} at block {choice.layer}, strength {choice.strength:g}",
    )


def choose_direction(context: ElicitContext) -> tuple[Directions, int]:
    """Find or take directions with layer and strength, and choose the one that does most for accuracy.

    Args:
        context: Models, problems and, where they are given, directions.

    Returns:
        The chosen direction alone, and how many responses were written or read for it.

    Raises:
        InputError: No behaviour that is asked for has a layer and strength.
    """
    pair, directions, n_examples = context.pair, context.directions, 0
    if directions is None:
        traces = labelled_traces(context)
        n_examples += len(traces)
        directions = found_directions(context, traces)
    if not directions.choices:
        directions, n_searched = searched(context, directions)
        n_examples += n_searched
    names = [name for name in context.settings.behaviours or directions.choices if name in directions.choices]
    if not names:
        raise InputError(
            f"none of the behaviours has a layer and strength; there are {', '.join(directions.choices)}: name others "
            "(--behaviours), or search with `reasonlens steer find`"
        )
    accuracies = {name: _accuracy(context, directions, name) for name in names} if len(names) > 1 else {}
    best = max(names, key=lambda name: accuracies.get(name, 0.0))
    alone = replace(
        directions,
        vectors={best: directions.vectors[best]},
        choices={best: directions.choices[best]},
        n_examples={best: directions.n_examples.get(best, 0)},
        n_problems_showing={},
        scores={},
        split={},
        injection=(),
    )
    return alone, n_examples + len(accuracies) * len(pair.validation)


def labelled_traces(context: ElicitContext) -> list[Trace]:
    """Let the thinking model answer the training problems, and label what it writes; else take the bundled traces.

    Args:
        context: Models and problems.

    Returns:
        Labelled traces.
    """
    pair, settings = context.pair, context.settings
    if not context.has_thinking and context.has_words:
        return list(bundled_traces())
    model, template = context.source, pair.thinking_template if context.has_thinking else pair.base_template
    prompts = encode_prompts(model, [question.prompt for question in pair.train], template)
    written = write(model, prompts, settings.sampling, seed=settings.seed, n_rows=settings.n_rows)
    return [
        Trace(
            f"train-{number}",
            question.prompt,
            one.text,
            tuple(span for span in pair.annotator(question.prompt, one.text) if span.label not in FORMAT_LABELS),
            question.problem,
        )
        for number, (question, one) in enumerate(zip(pair.train, written, strict=True))
        if one.text.strip()
    ]


def found_directions(context: ElicitContext, traces: Sequence[Trace]) -> Directions:
    """Compute the difference of means before sentences, at the blocks that are tried.

    Args:
        context: The base and its template.
        traces: Labelled ones.

    Returns:
        Directions of the behaviours of the settings, or of all.
    """
    layers = context.settings.layers or usual_layers(context.base.n_layers)
    activations = collect(
        context.base,
        list(traces),
        read="before:1",
        layers=layers,
        template=context.pair.base_template,
        truncate=True,
        progress=False,
    ).load()
    return mean_difference_directions(
        activations, behaviours=context.settings.behaviours, data_digest=digest(list(traces))
    )


def searched(context: ElicitContext, directions: Directions) -> tuple[Directions, int]:
    """Search layer and strength of each behaviour on the validation problems.

    Args:
        context: The base and problems.
        directions: Of behaviours.

    Returns:
        The directions with what was found, and how many responses were written.
    """
    pair, settings = context.pair, context.settings
    search = steer_find(
        context.base,
        directions,
        settings=FindSettings(
            behaviours=settings.behaviours,
            layers=settings.layers,
            strengths=settings.strengths,
            kl_limit_nats=settings.kl_limit_nats,
            n_problems=len(pair.validation),
            template=pair.base_template,
            sampling=settings.sampling if settings.sampling.is_greedy else replace(settings.sampling, n_samples=1),
            seed=settings.seed,
        ),
        questions=ProblemSet("validation", pair.validation, pair.grader),
        progress=context.progress,
    )
    assert search.directions is not None
    return search.directions, len(pair.validation) + sum(search.n_decoded.values())


def _accuracy(context: ElicitContext, directions: Directions, behaviour: str) -> float:
    questions = context.pair.validation
    queries = [Query(question=question, number=number) for number, question in enumerate(questions)]
    answers = _steered(context, directions, behaviour)(queries)
    return sum(
        context.pair.grader(question, one.text) is True for question, one in zip(questions, answers, strict=True)
    ) / len(questions)


def _steering(
    context: ElicitContext, directions: Directions, behaviour: str, n_prompt_tokens: int | None = None
) -> AbstractContextManager[object]:
    choice = directions.choices[behaviour]
    return steer(
        context.base,
        directions[behaviour],
        layer=choice.layer,
        strength=choice.strength,
        when=choice.when or SENTENCES,
        n_prompt_tokens=n_prompt_tokens,
    )


def _steered(context: ElicitContext, directions: Directions, behaviour: str) -> AnswerAll:
    ask = asking(context, context.base, context.pair.base_template, plain)

    def answer(questions: Sequence[Query]) -> list[ArmAnswer]:
        with _steering(context, directions, behaviour):
            return ask(questions)

    return answer


def _read(context: ElicitContext, directions: Directions, behaviour: str, texts: Sequence[Trace]) -> list[TokenReading]:
    """Read texts one by one, since the end of the prompt, from which on is steered, is another in each."""
    template = context.pair.base_template
    prompts = encode_prompts(context.base, [text.prompt for text in texts], template)
    readings: list[TokenReading] = []
    for text, prompt in zip(texts, prompts, strict=True):
        with _steering(context, directions, behaviour, len(prompt)):
            readings += read_texts(context.base, [text], template)
    return readings
