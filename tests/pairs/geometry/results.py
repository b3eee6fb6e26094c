"""A result made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from math import nan

from reasonlens.pairs.geometry import GeometryResult, GeometrySettings, GraftFigures, Grafts, PairGeometry
from reasonlens.pairs.geometry.cosines import DirectionCosine
from reasonlens.pairs.geometry.grafts import GraftContrast, Kind
from reasonlens.pairs.geometry.pair_geometry import PromotedToken
from reasonlens.pairs.geometry.probe_transfer import WAYS, ProbeTransfer
from reasonlens.pairs.geometry.similarity import LayerSimilarity
from reasonlens.pairs.geometry.subspaces import SubspaceOverlap
from reasonlens.stats import Interval

EVIL = "<script>alert('x')</script>"
KINDS: dict[str, Kind] = {
    "base": "end",
    "thinking": "end",
    "attention": "part",
    "mlp": "part",
    "embeddings and norms": "part",
    "block 0": "block",
}


def interval(value: float) -> Interval:
    return Interval(value, value - 0.05, value + 0.04, 40)


def graft(name: str, kind: Kind, value: float) -> GraftFigures:
    """A graft that recovers so much; ends have no control."""
    control = Interval(nan, n=40) if kind == "end" else interval(0.1)
    return GraftFigures(
        name=name,
        kind=kind,
        accuracy=interval(value),
        gain=interval(value - 0.2),
        gap=interval(value),
        control=control,
        control_gap=Interval(nan, n=40) if kind == "end" else interval(-0.1),
        above_control=control if kind == "end" else interval(value - 0.1),
        n_weights=7,
        norm_share=0.5,
    )


def geometry_result() -> GeometryResult:
    """One pair of which all parts were measured, at two layers, and one of which only CKA was."""
    layers = (0, 1)
    grafts = Grafts(
        figures=tuple(graft(name, kind, 0.15 * number) for number, (name, kind) in enumerate(KINDS.items())),
        contrasts=(GraftContrast(first="attention", second="mlp", difference=interval(-0.2)),),
        no_gap="",
        n_controls=1,
        open_share=0.02,
    )
    similarities = tuple(
        LayerSimilarity(
            layer=layer,
            thinking_layer=other,
            cka=interval(0.8) if layer == other else Interval(0.3, n=40),
            permuted=Interval(0.0, -0.01, 0.02, 5) if layer == other else Interval(nan),
            within=Interval(0.1, 0.0, 0.2, 5) if layer == other else Interval(nan),
        )
        for layer in layers
        for other in layers
    )
    pair = PairGeometry(
        base=EVIL,
        thinking="thinking",
        n_problems=40,
        n_spans=400,
        cosines=tuple(
            DirectionCosine(
                behaviour=behaviour,
                layer=layer,
                thinking_layer=layer,
                cosine=interval(0.9),
                random=Interval(0.0, -0.2, 0.2, 100),
                shuffled=Interval(0.5, 0.4, 0.6, 20),
            )
            for behaviour in (EVIL, "deduction")
            for layer in layers
        ),
        overlaps=tuple(
            SubspaceOverlap(
                layer=layer,
                thinking_layer=layer,
                n_dimensions=2,
                angles=(3.0, 20.0),
                overlap=interval(0.9),
                random=interval(0.1),
                shuffled=interval(0.4),
            )
            for layer in layers
        ),
        transfers=tuple(
            ProbeTransfer(
                behaviour=EVIL,
                trained_on=trained_on,
                tested_on=tested_on,
                layer=layer,
                auroc=interval(0.8),
                own=interval(0.85),
                shuffled=interval(0.5),
                baseline=interval(0.6),
                baseline_name="words",
            )
            for trained_on, tested_on in WAYS
            for layer in layers
        ),
        similarities=similarities,
        tokens=tuple(
            PromotedToken(
                model="base",
                behaviour=EVIL,
                layer=1,
                way=way,  # type: ignore[arg-type]
                rank=rank,
                token=f"{EVIL}{rank}",
                score=sign * 3.0 / rank,
                random_95=2.5,
            )
            for way, sign in (("raised", 1), ("lowered", -1))
            for rank in (1, 2)
        ),
        grafts=grafts,
        left_out={},
    )
    other = PairGeometry(
        base="base",
        thinking="wide",
        n_problems=40,
        n_spans=300,
        cosines=(),
        overlaps=(),
        transfers=(),
        similarities=similarities,
        tokens=(),
        grafts=None,
        left_out={"grafts": f"{EVIL} is wider"},
    )
    return GeometryResult(pairs={EVIL: pair, "other": other}, settings=GeometrySettings())
