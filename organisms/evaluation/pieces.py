"""The pieces of an evaluation, which are computed once and kept as files of the run.

A file is named after its models and the digests of their weights, so that after further training only what is new is
measured. Responses of a model serve its own figures and all its pairs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TypeVar

import numpy as np
from transformers import LlamaForCausalLM

from ...rundir import InputError, RunDirectory, from_row, read_json, to_row, write_json
from ...stats import Interval, mean_over_groups
from ..task import Problem, problems
from ._cross_play import CELLS, Answers, answer, shares_of
from .attempts import attempt_curves
from .chance import GUESSERS, Guesser
from .conduct import behaviour_rates, decisions, off_grammar, step_accuracy, way_decisions
from .divergence import divergence
from .figures import ModelFigures, PairFigures
from .guessing import N_ROWS, Speaker, guessing_success, random_words
from .interventions import recovered
from .memorising import MemorisingFigures, memorising
from .overlap import overlap
from .sentences import sentence_table
from .tables import Tables, table_shares, tables_of

logger = logging.getLogger(__name__)

Record = TypeVar("Record")
OWN_DECISIONS = "own-decisions, random words"
MORE_ISLANDS = 4  # times as many for it: it hardly ever succeeds, and few islands bound that poorly


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """How much is sampled.

    Attributes:
        problems: Unseen ones that every model and cell answers.
        samples: Responses to each.
        divergence_texts: Responses along which the divergence is read.
        chance_islands: Independent estimates of a guesser's success.
        chance_rows: Responses of each.
        pass_problems: Problems of each kind for pass@k.
        pass_samples: Responses to each of these; 0 leaves pass@k out.
        intervention_texts: Responses that interventions are fitted on; 0 leaves them out.
        seed: Of problems and draws.
    """

    problems: int = 200
    samples: int = 4
    divergence_texts: int = 200
    chance_islands: int = 4
    chance_rows: int = N_ROWS
    pass_problems: int = 60
    pass_samples: int = 256
    intervention_texts: int = 192
    seed: int = 0

    def __post_init__(self) -> None:
        if self.problems < 10 or self.samples < 1:
            raise InputError(
                f"a family is measured on 10 problems or more with a response or more to each, not on {self.problems} "
                f"with {self.samples}"
            )


class Pieces:
    """The pieces of an evaluation, each computed once; what is read of a model is kept for the few used last."""

    def __init__(
        self,
        run: RunDirectory,
        load: Callable[[str], LlamaForCausalLM],
        settings: EvaluateSettings,
        digests: Mapping[str, str],
    ) -> None:
        """Prepare the problems; nothing is measured yet.

        Args:
            run: Where pieces are kept.
            load: Returns the model of a name.
            settings: How much is sampled.
            digests: Of the weights of each model.
        """
        self.run, self.settings, self.digests = run, settings, digests
        self.load = lru_cache(maxsize=4)(load)
        self.answers = lru_cache(maxsize=8)(self._answers)
        self.tables = lru_cache(maxsize=64)(self._tables)
        self.problems = list(islice(problems("test", settings.seed), settings.problems))

    def model(self, name: str) -> ModelFigures:
        """Measure a model along its own responses.

        Args:
            name: Of the model.

        Returns:
            Its figures.
        """
        return self._once(ModelFigures, "models", [name], lambda: self._model(name))

    def pair(self, name: str, base: str, thinking: str) -> PairFigures:
        """Measure a pair by cross-play.

        Args:
            name: Of the pair.
            base: Of the model that was trained further.
            thinking: Of what it became.

        Returns:
            Its figures.
        """
        return self._once(PairFigures, f"pairs/{name}", [base, thinking], lambda: self._pair(base, thinking))

    def overlap(self, first: str, second: str) -> dict[str, Interval]:
        """Compare the responses of two models; of one model, its first samples with its second.

        Args:
            first: Of a model.
            second: Of another, or the same.

        Returns:
            How alike they are.
        """

        def compute() -> _Figures:
            last = min(1, self.settings.samples - 1) if first == second else 0
            return _Figures(overlap(self.answers(first), self.answers(second), 0, last))

        return self._once(_Figures, "overlaps", [first, second], compute).figures

    def chance(self, base: str) -> dict[str, Interval]:
        """Measure the guessers with the words of a base.

        Args:
            base: Of the model.

        Returns:
            Guesser -> success of one guess.
        """
        return self._once(_Figures, "chance", [base], lambda: _Figures(self._chance(base))).figures

    def attempts(self, name: str) -> dict[str, dict[str, Interval]]:
        """Measure pass@k with many samples.

        Args:
            name: Of the model.

        Returns:
            Kind of problems -> k -> pass@k.
        """

        def compute() -> _Curves:
            chosen = self.settings
            return _Curves(attempt_curves(self.load(name), chosen.pass_problems, chosen.pass_samples, chosen.seed))

        return self._once(_Curves, "attempts", [name], compute).curves

    def recovered(self, base: str, thinking: str) -> dict[str, Interval]:
        """Measure what interventions on the base recover of a pair's gap.

        Args:
            base: Of the model that was trained further.
            thinking: Of what it became.

        Returns:
            Arm -> share of the gap.
        """

        def compute() -> _Figures:
            answers = [self.answers(name) for name in (base, thinking)]
            n_texts, seed = self.settings.intervention_texts, self.settings.seed
            return _Figures(recovered(self.load(base), self.load(thinking), *answers, n_texts=n_texts, seed=seed))

        return self._once(_Figures, "interventions", [base, thinking], compute).figures

    def memorising(self, name: str, steps: tuple[int, ...], example: Problem) -> MemorisingFigures:
        """Measure the course of a training on one example.

        Args:
            name: Of the model, whose checkpoints are loaded as `name@step`; step 0 is its base.
            steps: Of the checkpoints, ascending.
            example: What it was trained on.

        Returns:
            The figures.
        """

        def compute() -> MemorisingFigures:
            chosen = self.settings
            return memorising(
                lambda step: self.load(f"{name}@{step}"), steps, example, self.problems, chosen.samples, chosen.seed
            )

        return self._once(MemorisingFigures, "memorising", [name], compute)

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
        return tables_of(sentence_table(answers.problem_by_response, answers.responses, answers.readings))

    def _model(self, name: str) -> ModelFigures:
        answers = self.answers(name)
        sentences = sentence_table(answers.problem_by_response, answers.responses, answers.readings)
        lengths = np.array([len(ids) for ids in answers.responses], dtype=np.float64)
        return ModelFigures(
            accuracy=answers.accuracy,
            process_accuracy=answers.process_accuracy,
            response_words=mean_over_groups(lengths, groups=[problem.group for problem in answers.problem_by_response]),
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
            divergence=divergence(
                before, after, cells["thinking"].problem_by_response[read], cells["thinking"].responses[read]
            ),
        )

    def _chance(self, base: str) -> dict[str, Interval]:
        chosen, model = self.settings, self.load(base)

        def success(guesser: Guesser | None, speaker: Speaker | None = None, times: int = 1) -> Interval:
            return guessing_success(
                model,
                guesser,
                speaker,
                n_islands=times * chosen.chance_islands,
                n_rows=chosen.chance_rows,
                seed=chosen.seed,
            )

        blind = {name: success(guesser) for name, guesser in GUESSERS.items()}
        return blind | {OWN_DECISIONS: success(None, random_words, MORE_ISLANDS)}


@dataclass(frozen=True, slots=True)
class _Figures:
    figures: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class _Curves:
    curves: dict[str, dict[str, Interval]]
