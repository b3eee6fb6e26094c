"""What arms are made from, by hand: two behaviours on the tiny models, so that a plan can be decoded at once."""

from __future__ import annotations

import torch

from reasonlens.generation import Gate
from reasonlens.pairs.hybrid import ARMS, ArmContext, Plan, disagreement
from reasonlens.pairs.hybrid.arm import Tuned
from reasonlens.pairs.hybrid.arm_run import ArmRun
from reasonlens.pairs.hybrid.behaviour_probe import BehaviourProbe
from reasonlens.pairs.hybrid.components import SHARES, Components, Probes
from reasonlens.pairs.hybrid.record import RowRecord
from reasonlens.pairs.hybrid.strength import constant
from reasonlens.vectors import Directions
from tests.conftest import D_MODEL, VOCABULARY
from tests.pairs.hybrid.test_decode import LAYER, NORM, STRENGTH

ENDS = torch.arange(VOCABULARY) % 3 == 0  # tokens that end a sentence


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def components() -> Components:
    """Vectors, probes and wordings of three behaviours at one layer."""
    vectors = {name: drawn(1, D_MODEL, seed=number) for number, name in enumerate("abc")}
    weight = drawn(D_MODEL, seed=5)
    return Components(
        traces=(),
        directions=Directions(
            vectors=vectors,
            layers=(LAYER,),
            method="drawn",
            model={"name": "tiny"},
            read="before:1",
            residual_norm=(NORM,),
            n_examples=dict.fromkeys(vectors, 1),
            n_problems=1,
            data_digest="",
        ),
        bias=None,
        probes=Probes(
            which={LAYER: (drawn(3, D_MODEL, seed=4), torch.zeros(3))},
            when={LAYER: (weight, 0.0)},
            quantiles={LAYER: torch.linspace(-1, 1, len(SHARES), dtype=torch.float64)},
            auroc_when={LAYER: 0.9},
            n_disagreements=1,
            n_tokens=2,
        ),
        sentence_ends=ENDS,
        wordings=(((5, 11),), ((6,),), ((7, 8, 9),)),
        behaviour_probes={
            (whose, LAYER): BehaviourProbe(
                whose=whose,
                layer=2 if whose == "thinking" else LAYER,
                weight=drawn(3, D_MODEL, seed=seed),
                offset=torch.zeros(3),
                n_sentences=9,
            )
            for whose, seed in (("thinking", 6), ("base", 7))
        },
    )


def context(
    *, gate: Gate = disagreement, hybrid: list[RowRecord] | None = None, behaviour: int | None = None, seed: int = 0
) -> ArmContext:
    """Make the context of a plan; `hybrid`: what the hybrid did."""
    runs = {}
    if hybrid is not None:
        n = len(hybrid)
        runs["hybrid"] = ArmRun(
            name="hybrid", records=(tuple(hybrid),), is_solved=((False,) * n,), answered_in_thoughts=((False,) * n,)
        )
    return ArmContext(
        components=components(),
        tuned=Tuned(layer=LAYER, strength=STRENGTH, threshold=0.0),
        gate=gate,
        strength=constant(STRENGTH),
        seed=seed,
        behaviour=behaviour,
        runs=runs,
    )


def plan(arm: str, of: ArmContext) -> Plan:
    """Make the plan of an arm of the table."""
    return ARMS[arm].plan(of)
