"""The type of an arm: one condition of the experiment, from what it needs to how it decodes.

All arms answer the same problems with the same random numbers. A new arm is one `Arm` listed in `ARMS` (`arms.py`):
settings, tuning, the run, measures, verdict, figure and report go by its fields and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...generation import Gate
from ...rundir import brief
from ._decode import Plan, StrengthRule
from .arm_run import ArmRun
from .components import Components
from .record import RowRecord
from .through import Through

# end       base and thinking model alone: the ends of the gap, 0 and 1
# prompt    the base, asked in another way
# hybrid    what the verdict is about
# variant   the hybrid with its gate or its strengths by a probe or a network on the base
# ceiling   the thinking model's own tokens: what any steering can reach at most
# control   what could explain the gain in another way; the verdict compares the hybrid with it
# ablation  the hybrid less one of its properties, reported and not part of the verdict
Role = Literal["end", "prompt", "hybrid", "variant", "ceiling", "control", "ablation"]

# thinking model        it runs beside the base, for the gate or for its tokens
# step-by-step prompt   the pair has words that ask for reasoning; the base reads them after each question
# bias vector           one vector for sentences of any behaviour is made (`vector_stage.py`)
# first words           the tokens that begin the sentences of each behaviour are found (`first_words.py`)
# wordings              how the sentences of each behaviour begin, up to the word that identifies it (`wordings.py`)
# thinking's behaviour  a probe on the thinking model's activations says which behaviour comes (`behaviour_probe.py`)
# base's behaviour      a probe on the base says which behaviour the base would show by itself
# coefficient network   strengths by a network are trained at the chosen layer (`coefficient_fit.py`)
# varied strengths      an earlier arm steered with strengths that differ from token to token
# seeds                 it runs once for each seed of `HybridSettings.n_seeds`, and is reported over all of them
# each behaviour        it runs once for each behaviour of the pair, and each run is reported as `NAME-BEHAVIOUR`
Need = Literal[
    "thinking model",
    "step-by-step prompt",
    "bias vector",
    "first words",
    "wordings",
    "thinking's behaviour",
    "base's behaviour",
    "coefficient network",
    "varied strengths",
    "seeds",
    "each behaviour",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What was chosen on validation problems."""

    layer: int
    strength: float  # in mean residual norms; of a network's strengths, a multiple
    threshold: float  # of the probe gate, in log odds
    behaviour_strengths: tuple[float, ...] = ()  # where each behaviour has its own
    network_strength: float = 1.0  # multiple of the network's strengths in the arm network-strength
    boost: float = 0.0  # nats by which the arm word-boost raises the logits of first words

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmContext:
    """What the plan of an arm is made from."""

    components: Components
    tuned: Tuned
    gate: Gate  # of the hybrid
    strength: StrengthRule  # of the hybrid
    through: Through | None = None  # of the hybrid
    seed: int = 0  # of random vectors, behaviours, positions and orders
    behaviour: int | None = None  # that this run is about, of an arm that needs `each behaviour`
    runs: Mapping[str, ArmRun] = field(default_factory=dict)  # of the arms before it in the table

    @property
    def hybrid_records(self) -> tuple[RowRecord, ...]:
        """What the hybrid did, which controls are matched to; nothing before it has run."""
        return self.runs["hybrid"].records[0] if "hybrid" in self.runs else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One condition of the experiment."""

    name: str
    about: str  # half a sentence for tables and pages
    role: Role
    needs: frozenset[Need] = frozenset()
    by_default: bool = False  # runs where no arms are named: what a verdict requires (docs/verdicts.md)
    plan: Callable[[ArmContext], Plan]


def hybrid_plan(context: ArmContext) -> Plan:
    """Steer by the hybrid's gate, chooser and strengths: what most arms differ from in one thing.

    Args:
        context: What the plan is made from.
    """
    components, layer = context.components, context.tuned.layer
    return Plan(
        gate=context.gate,
        mechanism=components.mechanism(layer),
        chooser=components.chooser(layer),
        strength=context.strength,
        through=context.through,
    )
