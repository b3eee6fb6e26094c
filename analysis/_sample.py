"""Sample a model on problems, and write its graded responses as traces that every other command reads.

1. Each problem is answered `n_samples` times. Sample k of a problem draws with numbers of its own, from the seed and a
   digest of problem and k: neither the batch nor which other problems there are changes it.
2. Each response goes into a log beside the file as soon as it is there, so that a run that is killed goes on from the
   last one, and nothing is asked of an endpoint twice. More samples, or more problems, are added to what is there.
3. Responses are graded by rule, and the file is written whole, in the order of the problems.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ..generation.engines import Endpoint, Engine, Manner, Place, Request, Response, engine_of
from ..models import LanguageModel
from ..models._load import ModelLike
from ..models.organism import Organism, names_organism
from ..organisms import is_solved, problem_of
from ..organisms import problems as organism_problems
from ..rundir import (
    InputError,
    RowLog,
    expanded,
    is_there,
    members_of,
    only_writer_of,
    settings_of,
)
from ..rundir.progress import ProgressBar
from ..traces import Trace, write_traces
from ..traces.problem_sets import PROCEDURAL, ProblemSet, open_problem_set
from ..traces.questions import Question, mathematics
from ..traces.trace_list import TraceList
from .sample_settings import SampleSettings
from .samples import Grade, Sample, Samples, metadata_of

logger = logging.getLogger(__name__)

ORGANISM = "organism"  # the family's own test problems
LOG = ".rows"  # what the name of the log ends in, after that of the file
COLUMNS = {"key": str, "text": str, "n_tokens": int | None, "is_truncated": bool, "writer": str | None}
GRADES: dict[bool | None, Grade] = {True: "right", False: "wrong", None: "unsure"}

# What holds problems: a name (`gsm8k`, `organism`), a file, a set of them with its grader, or questions.
Problems = str | Path | ProblemSet | Sequence[Question]


@dataclass(frozen=True, slots=True)
class _Draw:
    """One sample that is asked for."""

    key: str
    question: Question
    id: str
    sample: int

    @property
    def request(self) -> Request:
        return Request(int(self.key, 16) >> 1, self.question.prompt)


def sample(
    model: ModelLike,
    problems: Problems | None = None,
    *,
    out: str | Path | None = None,
    settings: SampleSettings | None = None,
    engine: str = "transformers",
    endpoint: Endpoint | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Samples:
    """Sample a model on problems, and write the graded responses as traces.

    Args:
        model: The model that writes, or its name or path; for an endpoint the name by which it knows the model.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, `organism`, a problem set,
            or questions. None: an organism's own test problems.
        out: The JSONL file of traces. Beside it stands a log (`.rows` after its name) from which the same call goes on.
            None: nothing is written.
        settings: How many, and how they are drawn; None means the defaults.
        engine: What runs the model: `transformers`, `vllm` or `openai`.
        endpoint: Where `openai` finds it.
        device: Where a model that is loaded by name runs.
        progress: Show a progress bar.

    Returns:
        The traces with their grades.

    Raises:
        InputError: The model, problems, engine or file cannot be used, or an endpoint left samples without a reply.
    """
    settings = settings_of(settings, SampleSettings)
    runner = engine_of(engine)
    place = Place(device=device, n_rows=settings.n_rows, endpoint=endpoint)
    problem_set = _problem_set(model, problems, settings)
    draws = _draws(problem_set, settings)
    about = _about(runner.identify(model, place), engine, settings)

    def sampled(file: Path | None) -> tuple[Samples, list[dict[str, Any]]]:
        log = RowLog(file, about=about, key="key", columns=COLUMNS)
        try:
            speed, n_new = _fill(log, draws, runner, model, place, settings.manner, progress)
        except KeyboardInterrupt as error:
            if file is not None:
                error.add_note(f"{file} holds what was finished, and the same command goes on from there")
            raise
        except InputError as error:
            if file is None or not log:
                raise
            raise InputError(f"{error} {file} keeps the samples so far; the same command goes on from them.") from None
        return _result(log, draws, problem_set, settings, engine, _name(model), speed, n_new)

    if out is None:
        return sampled(None)[0]
    file = expanded(out)
    rows = file.with_name(file.name + LOG)
    if file.is_dir() or (is_there(file) and not is_there(rows)):
        raise InputError(f"{file} is there and no samples of this command ({rows.name} is not): choose another --out")
    with only_writer_of(file):
        result, metadata = sampled(rows)
        write_traces(result.traces, file, metadata)
    return result


def _problem_set(model: ModelLike, problems: Problems | None, settings: SampleSettings) -> ProblemSet:
    if problems is None:
        if not _is_named_organism(model):
            raise InputError(
                f"{_name(model)} needs problems to solve: give --problems: gsm8k, math-500, reasoning-gym:KIND or a "
                "file of questions and answers"
            )
        problems = ORGANISM
    if isinstance(problems, str) and problems == ORGANISM:
        test_problems = islice(organism_problems("test", settings.seed), settings.n_problems)
        questions = tuple(Question(problem.group, problem.prompt) for problem in test_problems)
        return ProblemSet(ORGANISM, questions, _solves)
    if isinstance(problems, str | Path):
        is_generated = str(problems).startswith(PROCEDURAL)
        problems = open_problem_set(problems, settings.n_problems if is_generated else None, settings.seed)
    if not isinstance(problems, ProblemSet):
        remedy = "give Question(problem, prompt, answer), or the name or file of a problem set"
        problems = ProblemSet("questions", members_of(problems, Question, "problems", remedy), mathematics)
    distinct = tuple({(question.problem, question.prompt): question for question in problems.questions}.values())
    if len(distinct) < len(problems.questions):
        logger.info(f"{len(problems.questions) - len(distinct)} questions of {problems.name} stand there twice")
    if not distinct:
        raise InputError(f"{problems.name} holds no question")
    return ProblemSet(problems.name, distinct[: settings.n_problems], problems.grader)


def _is_named_organism(model: ModelLike) -> bool:
    if not isinstance(model, str | Path):
        return isinstance(model, Organism)
    return names_organism(model)


def _solves(question: Question, response: str) -> bool:
    return is_solved(problem_of(question.prompt), response)


def _draws(problem_set: ProblemSet, settings: SampleSettings) -> list[_Draw]:
    """List the samples in the order of the file."""
    name = Path(problem_set.name).stem
    return [
        _Draw(_key(question, number), question, f"{name}-{place}-{number}", number)
        for place, question in enumerate(problem_set.questions, start=1)
        for number in range(settings.n_samples)
    ]


def _key(question: Question, number: int) -> str:
    content = json.dumps([question.problem, question.prompt, number])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _about(identity: str, engine: str, settings: SampleSettings) -> dict[str, Any]:
    """Describe what the rows of a log have in common; how many there are may change."""
    names = ("temperature", "top_p", "max_new_tokens", "template", "system", "stop", "seed")
    return {"what": "samples", "model": identity, "engine": engine} | {
        name: list(value) if isinstance(value := getattr(settings, name), tuple) else value for name in names
    }


def _fill(
    log: RowLog,
    draws: Sequence[_Draw],
    engine: Engine,
    model: ModelLike,
    place: Place,
    manner: Manner,
    progress: bool,
) -> tuple[float | None, int]:
    """Add the rows that are missing; return tokens a second, and how many rows were added."""
    key_of = {draw.request.number: draw.key for draw in draws}
    done = {number for number, key in key_of.items() if key in log}
    n_before, n_tokens = len(done), 0
    if n_before == len(draws):
        return None, 0
    writer = engine.open(model, place)
    start = time.perf_counter()
    with ProgressBar(
        desc="sampling", unit="sample", total=len(draws), initial=n_before, smoothing=0, progress=progress
    ) as bar:

        def keep(number: int, response: Response) -> None:
            nonlocal n_tokens
            row = {name: getattr(response, name) for name in COLUMNS if name != "key"}
            log.add([{"key": key_of[number], **row}])
            done.add(number)
            n_tokens += response.n_tokens or 0
            bar.set_postfix(tokens_per_second=round(n_tokens / (time.perf_counter() - start)))
            bar.update()

        failures = writer.write([draw.request for draw in draws], manner, done, keep)
    _check_complete(log, draws, failures)
    return (n_tokens / (time.perf_counter() - start) if n_tokens else None), len(draws) - n_before


def _check_complete(log: RowLog, draws: Sequence[_Draw], failures: Counter[str]) -> None:
    counts = ", ".join(f"{count} {what}" for what, count in failures.items())
    n_missing = len(log.missing(draw.key for draw in draws))
    if n_missing:
        raise InputError(f"{n_missing} of {len(draws)} samples are missing ({counts}).")
    if counts:
        logger.info(f"every sample has its reply; on the way there were {counts}")


def _result(
    log: RowLog,
    draws: Sequence[_Draw],
    problem_set: ProblemSet,
    settings: SampleSettings,
    engine: str,
    model: str,
    speed: float | None,
    n_new: int,
) -> tuple[Samples, list[dict[str, Any]]]:
    """Grade the rows; return the result, and the metadata of each trace."""
    traces, samples, metadata = TraceList(), [], []
    for draw in draws:
        row, question = log[draw.key], draw.question
        trace = Trace(draw.id, question.prompt, row["text"], problem=question.problem)
        can_be_graded = question.answer is not None or problem_set.grader is not mathematics
        graded = Sample(
            id=draw.id,
            problem=trace.problem,
            sample=draw.sample,
            grade=GRADES[problem_set.grader(question, trace.text)] if can_be_graded else None,
            is_truncated=row["is_truncated"],
            n_tokens=row["n_tokens"],
        )
        traces.append(trace)
        samples.append(graded)
        metadata.append(
            metadata_of(
                trace, graded, question.answer, engine=engine, model=model, seed=settings.seed, writer=row["writer"]
            )
        )
    _warn_of_repeats(traces, settings)
    result = Samples(
        samples=tuple(samples),
        traces=traces,
        model=model,
        engine=engine,
        problems=problem_set.name,
        settings=_about("", engine, settings) | {"n_samples": settings.n_samples},
        tokens_per_second=speed,
        n_new=n_new,
    )
    return result, metadata


def _warn_of_repeats(traces: Sequence[Trace], settings: SampleSettings) -> None:
    """Say so where no problem has two different responses, as of an endpoint that heeds no temperature and seed."""
    if settings.temperature == 0 or settings.n_samples < 2:
        return
    texts: dict[tuple[str, str], set[str]] = {}
    for trace in traces:
        texts.setdefault((trace.problem, trace.prompt), set()).add(trace.text)
    if all(len(different) == 1 for different in texts.values()):
        logger.warning(
            f"all {settings.n_samples} samples of each problem are the same text: what runs the model does not seem to "
            f"heed temperature ({settings.temperature:g}) and seed"
        )


def _name(model: ModelLike) -> str:
    if isinstance(model, str | Path):
        return str(model)
    return model.name if isinstance(model, LanguageModel) else type(model).__name__
