"""Measure a family: every pair by cross-play, every model along its own responses, chance with the words of every base.

Each piece is a file of the run, named after the models and the digests of their weights: a run that was killed goes on
at the first piece that is missing, and after further training only what is new is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from transformers import LlamaForCausalLM

from ...models.organism import read_record
from ...rundir import InputError, RunDirectory, directory_digest, expanded, settings_of, write_json
from ...stats import Interval
from ..task import Problem
from ..training.directory import load_step, steps_of
from ..training.members import BASES, MEMBERS
from ..training.stages import single_problem
from .figures import Evaluation, ModelFigures, PairFigures
from .pieces import EvaluateSettings, Pieces

WEIGHTS = Path(__file__).parents[1] / "weights"
INTERVENED = ("rl-timing", "sft-timing", "rl-skill", "sft-skill")  # pairs whose base is pushed at its decisions
Pairs = Mapping[str, tuple[str, str]]  # name of a pair -> its base, what the base became


def evaluate(
    load: Callable[[str], LlamaForCausalLM],
    pairs: Pairs,
    settings: EvaluateSettings | None = None,
    out: str | Path | None = None,
    digests: Mapping[str, str] | None = None,
    attempted: tuple[str, ...] = (),
    singles: Mapping[str, tuple[tuple[int, ...], Problem]] | None = None,
    alone: tuple[str, ...] = (),
) -> Evaluation:
    """Measure pairs of models.

    Args:
        load: Returns the model of a name; called again when a model is needed again.
        pairs: What is compared.
        settings: How much is sampled.
        out: Directory that keeps finished pieces; None: nothing is written.
        digests: Of the weights of each model, by which pieces of other weights are told apart.
        attempted: Models whose pass@k is measured with many samples.
        singles: Models that were trained on one example -> steps that `load` takes as `name@step`, and the example.
        alone: Bases that are in no pair.

    Returns:
        All figures.
    """
    chosen = settings_of(settings, EvaluateSettings)
    with RunDirectory(out, "organisms evaluate", settings=asdict(chosen)) as run:
        run.record()
        pieces = Pieces(run, load, chosen, digests or {})
        bases = list(dict.fromkeys([*(base for base, _ in pairs.values()), *alone]))
        models: dict[str, ModelFigures] = {}
        results: dict[str, PairFigures] = {}
        overlaps: dict[str, dict[str, Interval]] = {}
        for base in bases:
            trained = {name: thinking for name, (parent, thinking) in pairs.items() if parent == base}
            models[base] = pieces.model(base)
            for name, thinking in trained.items():
                results[name] = pieces.pair(name, base, thinking)
                models[thinking] = pieces.model(thinking)
            for number, first in enumerate(trained.values()):
                for second in list(trained.values())[number:]:
                    overlaps[f"{first} / {second}"] = pieces.overlap(first, second)
        chance = {base: pieces.chance(base) for base in bases}
        attempts = {name: pieces.attempts(name) for name in attempted} if chosen.pass_samples else {}
        pushed = [name for name in INTERVENED if name in pairs] if chosen.intervention_texts else []
        recovered = {name: pieces.recovered(*pairs[name]) for name in pushed}
        courses = {name: pieces.memorising(name, *course) for name, course in (singles or {}).items()}
        evaluation = Evaluation(models, results, chance, overlaps, attempts, recovered, courses)
        if run.has_directory:
            write_json(run.path / "results.json", evaluation.to_dict())
            run.finish(["results.json"])
        return evaluation


def organisms_evaluate(
    directory: str | Path | None = None, settings: EvaluateSettings | None = None, out: str | Path | None = None
) -> Evaluation:
    """Measure those pairs of a trained family that its directory holds.

    Args:
        directory: Of the family, as `organisms train` leaves it; None: the one that comes with reasonlens.
        settings: How much is sampled.
        out: Directory that keeps finished pieces; None: nothing is written.

    Returns:
        All figures.

    Raises:
        InputError: The directory holds no base with a model trained from it.
    """
    family = WEIGHTS if directory is None else expanded(directory)
    present = [name for name in MEMBERS if (family / name / "config.json").is_file()]
    pairs = {
        name: (parent, name)
        for name in present
        if (parent := MEMBERS[name].parent) is not None and parent in BASES and parent in present
    }
    if not pairs:
        raise InputError(
            f"{family} holds no base with a model trained from it; train a family with `reasonlens organisms train`"
        )
    collapsed = [name for name in pairs if MEMBERS[name].training == "collapse"]
    attempted = tuple(dict.fromkeys(model for name in collapsed for model in pairs[name]))
    digests = {name: directory_digest(family / name) for name in present}
    singles = {
        name: (steps_of(family, name), single_problem(name, read_record(family / name)["seed"]))
        for name in pairs
        if MEMBERS[name].training == "one-example"
    }
    alone = tuple(name for name in present if name in BASES and name not in {base for base, _ in pairs.values()})
    return evaluate(lambda name: load_step(family, name), pairs, settings, out, digests, attempted, singles, alone)
