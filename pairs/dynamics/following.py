"""Follow a training by its checkpoints: sample each, read each, and put the steps side by side."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...models.organism import PREFIX, names_organism, organism_files, read_record
from ...organisms.training.members import MEMBERS
from ...organisms.training.stages import single_problem
from ...rundir import RunDirectory, brief, expanded
from ...stats import pass_curves
from ...traces import Trace
from ...traces.questions import Question
from ..exchange import ExchangeSettings
from ..exchange.cells import run_cells
from ..exchange.pair_exchange import PairExchange
from ..pair import Pair
from ..passk.chance import chance_of_pair
from .changes import changes_of_shares
from .checkpoints import Checkpoint, Checkpoints
from .collapse import collapse_of
from .curve import (
    ACCURACY,
    ATTEMPTS,
    BEYOND,
    CUT,
    FORM,
    PASS_MANY,
    RATE,
    SETTLED,
    TOKENS,
    TRAINED,
    Curve,
    Level,
    Shares,
    shares,
)
from .gain import split_gain, split_gain_open
from .memorising import Memorised, late_gain, memorised_at
from .reading import CHANCE, StepReading, read_step, reading_curves
from .run_dynamics import RunDynamics, StepExchange
from .settings import DynamicsSettings
from .step_run import StepCounts, StepRun, counts_of, problems_of

logger = logging.getLogger(__name__)

AXIS = "step"
N_EXAMPLE = 64  # responses to a single training problem
EXCHANGE = "exchange-{n}"  # of so many problems


@dataclass(eq=False, kw_only=True)
class Following:
    """A training at work: what is known of its steps so far.

    Attributes:
        name: Of the training.
        pair: The test questions, with their grader and annotator; its models are the base.
        checkpoints: The steps.
        trained_on: Training problems, to see when they are memorised; empty: not asked.
        settings: How much.
        run: The directory of all steps.
        progress: Whether bars are shown.
    """

    name: str
    pair: Pair
    checkpoints: Sequence[Checkpoint]
    trained_on: Sequence[Question]
    settings: DynamicsSettings
    run: RunDirectory
    progress: bool
    counts: dict[int, StepCounts] = field(default_factory=dict)
    readings: dict[int, StepReading] = field(default_factory=dict)
    examples: dict[int, np.ndarray] = field(default_factory=dict)
    exchanges: list[StepExchange] = field(default_factory=list)
    texts: list[Trace] = field(default_factory=list)

    __repr__ = brief

    def follow(self) -> RunDynamics:
        """Measure all steps, and estimate what changes.

        Returns:
            The dynamics.
        """
        for checkpoint in self.checkpoints:
            with self.run.stage(f"step {checkpoint.step}"):
                self._measure(checkpoint)
        with self.run.stage("estimates"):
            return self._estimated()

    def _measure(self, checkpoint: Checkpoint) -> None:
        settings, step = self.settings, checkpoint.step
        at = StepRun(checkpoint=checkpoint, pair=self.pair, settings=settings, run=self.run, progress=self.progress)
        own = at.directory()
        with own:
            own.record()
            loaded = at.loaded()
            counts, traces = counts_of(self.pair, at.responses(loaded, own), settings)
            self.counts[step] = counts
            if settings.texts != "none":
                texts = [trace for some in traces for trace in some[: settings.n_read] if trace.spans]
                if settings.texts == "base":
                    self.texts = self.texts or texts
                    texts = self.texts
                if texts:
                    self.readings[step] = read_step(loaded, texts, settings, own)
            own.finish()
        if self.trained_on:
            with_examples = replace(self.pair, test=tuple(self.trained_on))
            of_examples = replace(at, pair=with_examples, part="trained")
            with of_examples.directory() as own:
                own.record()
                n = max(N_EXAMPLE, settings.sampling.n_samples) if len(self.trained_on) == 1 else None
                responses = of_examples.responses(replace(loaded, test=with_examples.test), own, n)
                own.finish()
            self.examples[step] = np.array([[one.is_solved is True for one in some] for some in responses])
        if step in settings.when_at:
            self._exchange(at, loaded)

    def _exchange(self, at: StepRun, loaded: Pair) -> None:
        """Exchange sentences between the base and the model of a step."""
        settings = self.settings
        chosen = ExchangeSettings(
            sampling=replace(settings.sampling, n_samples=2), n_rows=settings.n_rows, seed=settings.seed
        )
        test = tuple(self.pair.test[: settings.n_exchanged])
        pair = replace(loaded, base=self.pair.base, test=test, thinking_template=self.pair.base_template)
        with replace(at, part=EXCHANGE.format(n=len(test))).directory() as own:
            own.record()
            cells = run_cells(pair, chosen, own, self.progress)
            own.finish()
        self.exchanges.append(StepExchange(step=at.checkpoint.step, exchange=PairExchange.of(pair, cells)))

    def _estimated(self) -> RunDynamics:
        settings, steps = self.settings, [checkpoint.step for checkpoint in self.checkpoints]
        places = [float(step) for step in steps]
        of_steps = [self.counts[step] for step in steps]
        accuracy = shares(ACCURACY, ACCURACY, [one.right for one in of_steps], [one.n for one in of_steps])
        form = shares(FORM, FORM, [one.in_form for one in of_steps], [one.n for one in of_steps])
        beyond = shares(BEYOND, BEYOND, [one.right_in_form for one in of_steps], [one.in_form for one in of_steps])
        tokens = shares(TOKENS, TOKENS, [one.tokens for one in of_steps], [one.n for one in of_steps])
        rates = self._rates(of_steps)
        groups = [question.problem for question in self.pair.test]
        once, often = self._attempts(of_steps)
        collapse, attempts = collapse_of(
            once, often, settings.attempts, places, groups, settings.seed, settings.n_resamples
        )
        many = self._many(often, groups)
        changes = changes_of_shares([accuracy, form, beyond, many, *rates], places, settings.seed, settings.n_resamples)
        behaviours = [rate.series for rate in rates]
        shown = _most_changed(rates, settings.shown)
        curves = [one.curve() for one in (accuracy, form, beyond)]
        curves += _cut_off(of_steps)
        curves += [*attempts, *(rate.curve(is_shown=rate.series in shown) for rate in rates), tokens.curve()]
        readings, levels = reading_curves(self.readings, behaviours, shown, settings.seed, self.progress)
        memorised, examples = self._memorised(places)
        return RunDynamics(
            name=self.name,
            axis=AXIS,
            steps=tuple(places),
            models=tuple(_name(checkpoint) for checkpoint in self.checkpoints),
            n_problems=len(problems_of(self.pair.test)),
            curves=(*curves, *examples, *readings),
            levels=(*self._chance(), *levels),
            gains=tuple(
                split_gain(float(step), of_steps[0], self.counts[step], settings.n_resamples, settings.seed)
                for step in steps[1:]
            ),
            open_gains=split_gain_open(places[-1], of_steps[0], of_steps[-1], settings.n_resamples, settings.seed),
            changes=changes,
            collapse=collapse,
            memorised=memorised,
            late=late_gain(accuracy, places, memorised, settings.seed, settings.n_resamples),
            exchanges=tuple(self.exchanges),
            notes=tuple(self._notes()),
        )

    def _rates(self, of_steps: Sequence[StepCounts]) -> list[Shares]:
        names = sorted({name for one in of_steps for name in one.shown})
        nothing = np.zeros(len(of_steps[0].n))
        return [
            shares(RATE, name, [one.shown.get(name, nothing) for one in of_steps], [one.n for one in of_steps])
            for name in names
        ]

    def _attempts(self, of_steps: Sequence[StepCounts]) -> tuple[np.ndarray, np.ndarray]:
        n, k = self.settings.sampling.n_samples, self.settings.attempts
        curves = [pass_curves(one.by_question.astype(int), n, [1, k]) for one in of_steps]
        return np.stack([one[:, 0] for one in curves], axis=1), np.stack([one[:, 1] for one in curves], axis=1)

    def _many(self, often: np.ndarray, groups: Sequence[str]) -> Shares:
        """Sum pass@k over the questions of each problem."""
        place = {problem: number for number, problem in enumerate(problems_of(self.pair.test))}
        rows = np.array([place[group] for group in groups])
        above, below = np.zeros((len(place), often.shape[1])), np.zeros((len(place), often.shape[1]))
        np.add.at(above, rows, often)
        np.add.at(below, rows, 1.0)
        return Shares(ATTEMPTS, PASS_MANY.format(k=self.settings.attempts), above, below)

    def _memorised(self, places: Sequence[float]) -> tuple[Memorised | None, tuple[Curve, ...]]:
        if not self.examples:
            return None, ()
        settings, right = self.settings, [one.astype(float) for one in self.examples.values()]
        rows = [one[0] if len(one) == 1 else one.mean(axis=1) for one in right]
        ones = np.ones(len(rows[0]))
        curve = shares(TRAINED, TRAINED, rows, [ones] * len(rows)).curve()
        return memorised_at(right, places, settings.memorised, settings.seed, settings.n_resamples), (curve,)

    def _chance(self) -> list[Level]:
        k = self.settings.attempts
        chance = chance_of_pair(self.pair, [1, k], self.run, is_measured=False, seed=self.settings.seed)
        if chance is None:
            return []
        return [
            Level(measure=ACCURACY, name=CHANCE, value=chance.pass_at[0]),
            Level(measure=ATTEMPTS, name=f"{CHANCE}, {PASS_MANY.format(k=k)}", value=chance.pass_at[1]),
        ]

    def _notes(self) -> list[str]:
        notes = []
        n = sum(one.n.sum() for one in self.counts.values())
        if n_unsure := sum(one.n_unsure for one in self.counts.values()):
            notes.append(f"{n_unsure} of {n:.0f} responses cannot be graded by rule, and count as wrong")
        cut = {step: one.cut.sum() / one.n.sum() for step, one in self.counts.items()}
        if any(cut.values()):
            some = ", ".join(f"{share:.1%} at step {step}" for step, share in cut.items() if share)
            notes.append(
                f"responses were cut off (--max-new-tokens): {some}; they count as wrong, unless an answer was right "
                "already"
            )
        return notes


def example_of(source: Checkpoints) -> tuple[Question, ...]:
    """Find the one problem that an organism was trained on.

    Args:
        source: What names or holds the checkpoints.

    Returns:
        The problem; empty where the source is no organism that was trained on one example.
    """
    if not names_organism(source):
        return ()
    name = str(source)
    record = read_record(organism_files(name)[0] if name.startswith(PREFIX) else expanded(name))
    member = MEMBERS.get(record["name"])
    if member is None or member.training != "one-example":
        return ()
    problem = single_problem(record["name"], record["seed"])
    return (Question(problem.group, problem.prompt),)


def _cut_off(of_steps: Sequence[StepCounts]) -> list[Curve]:
    """Follow the share that was cut off, and the accuracy if these had ended like the others."""
    if not any(one.cut.any() for one in of_steps):
        return []
    cut = shares(CUT, CUT, [one.cut for one in of_steps], [one.n for one in of_steps])
    settled = shares(ACCURACY, SETTLED, [one.right for one in of_steps], [one.settled.n for one in of_steps])
    return [cut.curve(), settled.curve()]


def _most_changed(rates: Sequence[Shares], n: int) -> list[str]:
    """Name the behaviours whose rates change most, in their own standard deviations over problems."""
    sizes = {}
    for rate in rates:
        per_problem = rate.above / np.maximum(rate.below, 1)
        spread = per_problem.std() or 1.0
        sizes[rate.series] = float(np.ptp(per_problem.mean(axis=0)) / spread)
    return sorted(sizes, key=lambda name: -sizes[name])[:n]


def _name(checkpoint: Checkpoint) -> str:
    model = checkpoint.model
    return str(model) if isinstance(model, str) else str(getattr(model, "name", type(model).__name__))
