"""Measure a family: every pair by cross-play, every model along its own responses, chance with the words of every base.

Each piece is a file of the run, named after the models and the digests of their weights: a run that was killed goes on
at the first piece that is missing, and after further training only what is new is measured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from transformers import LlamaForCausalLM

from ....rundir import InputError, RunDirectory, directory_digest, from_row, read_json, settings_of, to_row, write_json
from ....stats import Interval, mean_over_groups
from ..task import problems
from ..training.members import BASES, MEMBERS
from ..training.stages import load_member
from .attempts import attempt_curves
from .chance import GUESSERS
from .conduct import behaviour_rates, decisions, off_grammar, step_accuracy, way_decisions
from .cross_play import CELLS, Answers, answer, shares_of
from .divergence import divergence
from .figures import Evaluation, ModelFigures, PairFigures
from .guessing import N_ROWS, guessing_success, random_words
from .overlap import overlap
from .sentences import sentence_table
from .tables import Tables, table_shares, tables_of

logger = logging.getLogger(__name__)

Record = TypeVar("Record")
Pairs = Mapping[str, tuple[str, str]]  # name of a pair -> its base, what the base became
OWN_DECISIONS = "own-decisions, random words"


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """problems, samples: responses in each cell. divergence_texts: responses along which KL is read. chance_islands,
    chance_rows: of splitting. pass_problems, pass_samples: of pass@k, 0 leaves it out. seed: of problems and draws."""

    problems: int = 200
    samples: int = 4
    divergence_texts: int = 200
    chance_islands: int = 4
    chance_rows: int = N_ROWS
    pass_problems: int = 60
    pass_samples: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.problems < 10 or self.samples < 1:
            raise InputError(
                f"a family is measured on 10 problems or more with a response or more to each, not on {self.problems} "
                f"with {self.samples}"
            )


def evaluate(
    load: Callable[[str], LlamaForCausalLM],
    pairs: Pairs,
    settings: EvaluateSettings | None = None,
    out: str | Path | None = None,
    digests: Mapping[str, str] | None = None,
    attempted: tuple[str, ...] = (),
) -> Evaluation:
    """Measure pairs of models.

    Args:
        load: Returns the model of a name; called again when a model is needed again.
        pairs: What is compared.
        settings: How much is sampled.
        out: Directory that keeps finished pieces; None: nothing is written.
        digests: Of the weights of each model, by which pieces of other weights are told apart.
        attempted: Models whose pass@k is measured with many samples.

    Returns:
        All figures.
    """
    chosen = settings_of(settings, EvaluateSettings)
    with RunDirectory(out, "organisms evaluate", settings=asdict(chosen)) as run:
        run.record()
        pieces = _Pieces(run, load, chosen, dict(digests or {}))
        bases = list(dict.fromkeys(base for base, _ in pairs.values()))
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
        evaluation = Evaluation(models, results, chance, overlaps, attempts)
        if run.has_directory:
            write_json(run.path / "results.json", evaluation.to_dict())
            run.finish(["results.json"])
        return evaluation


def organisms_evaluate(
    directory: str | Path, settings: EvaluateSettings | None = None, out: str | Path | None = None
) -> Evaluation:
    """Measure those pairs of a trained family that its directory holds.

    Args:
        directory: Of the family, as `organisms train` leaves it.
        settings: How much is sampled.
        out: Directory that keeps finished pieces; None: nothing is written.

    Returns:
        All figures.

    Raises:
        InputError: The directory holds no base with a model trained from it.
    """
    family = Path(directory).expanduser()
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
    return evaluate(lambda name: load_member(family, name), pairs, settings, out, digests, attempted)


class _Pieces:
    """The pieces of an evaluation, each computed once; what is read of a model is kept for the few used last."""

    def __init__(
        self,
        run: RunDirectory,
        load: Callable[[str], LlamaForCausalLM],
        settings: EvaluateSettings,
        digests: dict[str, str],
    ) -> None:
        self.run, self.settings, self.digests = run, settings, digests
        self.load = lru_cache(maxsize=4)(load)
        self.answers = lru_cache(maxsize=4)(self._answers)
        self.tables = lru_cache(maxsize=64)(self._tables)
        self.problems = list(islice(problems("test", settings.seed), settings.problems))

    def model(self, name: str) -> ModelFigures:
        return self._once(ModelFigures, "models", [name], lambda: self._model(name))

    def pair(self, name: str, base: str, thinking: str) -> PairFigures:
        return self._once(PairFigures, f"pairs/{name}", [base, thinking], lambda: self._pair(base, thinking))

    def overlap(self, first: str, second: str) -> dict[str, Interval]:
        """Compare first samples of two models; of one model, its first with its second."""

        def compute() -> _Figures:
            last = min(1, self.settings.samples - 1) if first == second else 0
            return _Figures(overlap(self.answers(first), self.answers(second), 0, last))

        return self._once(_Figures, "overlaps", [first, second], compute).figures

    def chance(self, base: str) -> dict[str, Interval]:
        return self._once(_Figures, "chance", [base], lambda: _Figures(self._chance(base))).figures

    def attempts(self, name: str) -> dict[str, dict[str, Interval]]:
        def compute() -> _Curves:
            chosen = self.settings
            return _Curves(attempt_curves(self.load(name), chosen.pass_problems, chosen.pass_samples, chosen.seed))

        return self._once(_Curves, "attempts", [name], compute).curves

    def _once(self, kind: type[Record], folder: str, names: list[str], compute: Callable[[], Record]) -> Record:
        parts = [f"{name}-{self.digests[name][:12]}" if name in self.digests else name for name in names]

        def make() -> Record:
            logger.info(f"{folder}: {', '.join(names)}")
            return compute()

        return self.run.once(
            f"{folder}/{'--'.join(parts)}.json",
            make=make,
            save=lambda record, path: write_json(path, to_row(record)),
            open=lambda path: from_row(kind, read_json(path, "figures of models")),
        )

    def _answers(self, name: str) -> Answers:
        return answer(self.load(name), self.problems, self.settings.samples, self.settings.seed)

    def _tables(self, name: str) -> Tables:
        answers = self.answers(name)
        return tables_of(sentence_table(answers.asked, answers.responses, answers.readings))

    def _model(self, name: str) -> ModelFigures:
        answers = self.answers(name)
        sentences = sentence_table(answers.asked, answers.responses, answers.readings)
        lengths = np.array([len(ids) for ids in answers.responses], dtype=np.float64)
        return ModelFigures(
            accuracy=answers.accuracy,
            process_accuracy=answers.process_accuracy,
            response_words=mean_over_groups(lengths, groups=[problem.group for problem in answers.asked]),
            off_grammar=off_grammar(sentences),
            steps=step_accuracy(sentences),
            behaviours=behaviour_rates(sentences),
            decisions=decisions(sentences),
            ways=way_decisions(sentences),
        )

    def _pair(self, base: str, thinking: str) -> PairFigures:
        chosen, before, after = self.settings, self.load(base), self.load(thinking)
        cells = {
            "base": self.answers(base),
            "timing": answer(before, self.problems, chosen.samples, chosen.seed, decider=after),
            "skill": answer(after, self.problems, chosen.samples, chosen.seed, decider=before),
            "thinking": self.answers(thinking),
        }
        shares = shares_of(cells)
        by_tables = table_shares(self.tables(base), self.tables(thinking), self.problems, seed=chosen.seed)
        step = max(1, len(cells["thinking"].responses) // chosen.divergence_texts)
        read = slice(0, step * chosen.divergence_texts, step)
        return PairFigures(
            base=base,
            thinking=thinking,
            gap=shares.gap,
            timing_share=shares.first,
            skill_share=shares.second,
            timing_alone=shares.first_alone,
            skill_alone=shares.second_alone,
            interaction=shares.interaction,
            accuracy={cell: cells[cell].accuracy for cell in CELLS},
            process_accuracy={cell: cells[cell].process_accuracy for cell in CELLS},
            table_timing_share=by_tables.first,
            table_skill_share=by_tables.second,
            divergence=divergence(before, after, cells["thinking"].asked[read], cells["thinking"].responses[read]),
        )

    def _chance(self, base: str) -> dict[str, Interval]:
        chosen, model = self.settings, self.load(base)
        drawn = {"n_islands": chosen.chance_islands, "n_rows": chosen.chance_rows, "seed": chosen.seed}
        blind = {name: guessing_success(model, guesser, **drawn) for name, guesser in GUESSERS.items()}
        return blind | {OWN_DECISIONS: guessing_success(model, speaker=random_words, **drawn)}


@dataclass(frozen=True, slots=True)
class _Figures:
    figures: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class _Curves:
    curves: dict[str, dict[str, Interval]]
