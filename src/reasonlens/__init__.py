"""reasonlens: locate reasoning directions in language models and test what they do.

The public names are imported when they are first used, so `import reasonlens` is quick and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonlens.activations import (
        Activations,
        CollectSettings,
        Example,
        Moments,
        Read,
        collect,
        collect_moments,
    )
    from reasonlens.activations.cluster import ClusterSettings, collect_on_ray
    from reasonlens.analysis import (
        BeforeAfter,
        LocateSettings,
        Location,
        ProbeSettings,
        Probing,
        Stability,
        boundary_stability,
        compare_before_after,
        locate,
        probe,
        score,
    )
    from reasonlens.analysis.effect import (
        DoseCurves,
        EffectSettings,
        SteeringMatrix,
        dose_curves,
        steering_matrix,
    )
    from reasonlens.models import LanguageModel, load
    from reasonlens.pairs.hybrid import (
        HybridResult,
        HybridSettings,
        Pair,
        PairRun,
        SteeredTrace,
        organism_pair,
        question_pair,
        run_pair,
    )
    from reasonlens.probes import (
        DiscriminantProbe,
        LogisticProbe,
        MeanDifferenceProbe,
        MultinomialProbe,
        ProbeSweep,
        RidgeProbe,
        SavedProbes,
        TransferMatrix,
        sweep,
        transfer,
    )
    from reasonlens.rundir import InputError
    from reasonlens.traces import (
        Span,
        Trace,
        bundled_traces,
        encode,
        iter_traces,
        parse_annotated,
        read_traces,
        segment,
        write_traces,
    )
    from reasonlens.traces.judge import Judge
    from reasonlens.traces.problem_sets import ProblemSet, open_problem_set
    from reasonlens.traces.questions import Question
    from reasonlens.vectors import (
        Direction,
        Directions,
        OptimisedSettings,
        Steering,
        When,
        at_sentence_ends,
        bootstrap_stability,
        export_directions,
        import_directions,
        lda_directions,
        logistic_directions,
        mean_difference,
        mean_difference_directions,
        optimised_directions,
        pca_directions,
        project_out_content,
        ridge_directions,
        steer,
        with_norms_of,
    )

_HOME = {
    "activations.cluster": ("ClusterSettings", "collect_on_ray"),
    "activations": ("Activations", "CollectSettings", "Example", "Moments", "Read", "collect", "collect_moments"),
    "analysis.effect": ("DoseCurves", "EffectSettings", "SteeringMatrix", "dose_curves", "steering_matrix"),
    "pairs.hybrid": (
        *("HybridResult", "HybridSettings", "Pair", "PairRun", "SteeredTrace"),
        *("organism_pair", "question_pair", "run_pair"),
    ),
    "analysis": (
        *("BeforeAfter", "LocateSettings", "Location", "ProbeSettings", "Probing", "Stability"),
        *("boundary_stability", "compare_before_after", "locate", "probe", "score"),
    ),
    "models": ("LanguageModel", "load"),
    "rundir": ("InputError",),
    "probes": (
        *("DiscriminantProbe", "LogisticProbe", "MeanDifferenceProbe", "MultinomialProbe", "RidgeProbe"),
        *("ProbeSweep", "SavedProbes", "TransferMatrix", "sweep", "transfer"),
    ),
    "traces.judge": ("Judge",),
    "traces.problem_sets": ("ProblemSet", "open_problem_set"),
    "traces.questions": ("Question",),
    "traces": (
        *("Span", "Trace", "bundled_traces", "encode", "parse_annotated"),
        *("iter_traces", "read_traces", "segment", "write_traces"),
    ),
    "vectors": (
        *("Direction", "Directions", "OptimisedSettings", "Steering", "When"),
        *("at_sentence_ends", "bootstrap_stability", "export_directions", "import_directions"),
        *("lda_directions", "logistic_directions", "mean_difference", "mean_difference_directions"),
        *("optimised_directions", "pca_directions", "project_out_content", "ridge_directions"),
        *("steer", "with_norms_of"),
    ),
}
_FOLDER_OF = {name: folder for folder, names in _HOME.items() for name in names}

__version__ = version("reasonlens")
__all__ = [
    "Activations",
    "BeforeAfter",
    "ClusterSettings",
    "CollectSettings",
    "Direction",
    "Directions",
    "DiscriminantProbe",
    "DoseCurves",
    "EffectSettings",
    "Example",
    "HybridResult",
    "HybridSettings",
    "InputError",
    "Judge",
    "LanguageModel",
    "LocateSettings",
    "Location",
    "LogisticProbe",
    "MeanDifferenceProbe",
    "Moments",
    "MultinomialProbe",
    "OptimisedSettings",
    "Pair",
    "PairRun",
    "ProbeSettings",
    "ProbeSweep",
    "Probing",
    "ProblemSet",
    "Question",
    "Read",
    "RidgeProbe",
    "SavedProbes",
    "Span",
    "Stability",
    "SteeredTrace",
    "Steering",
    "SteeringMatrix",
    "Trace",
    "TransferMatrix",
    "When",
    "at_sentence_ends",
    "bootstrap_stability",
    "boundary_stability",
    "bundled_traces",
    "collect",
    "collect_moments",
    "collect_on_ray",
    "compare_before_after",
    "dose_curves",
    "encode",
    "export_directions",
    "import_directions",
    "iter_traces",
    "lda_directions",
    "load",
    "locate",
    "logistic_directions",
    "mean_difference",
    "mean_difference_directions",
    "open_problem_set",
    "optimised_directions",
    "organism_pair",
    "parse_annotated",
    "pca_directions",
    "probe",
    "project_out_content",
    "question_pair",
    "read_traces",
    "ridge_directions",
    "run_pair",
    "score",
    "segment",
    "steer",
    "steering_matrix",
    "sweep",
    "transfer",
    "with_norms_of",
    "write_traces",
]


def __getattr__(name: str) -> Any:
    if name not in _FOLDER_OF:
        raise AttributeError(f"module 'reasonlens' has no attribute {name!r}")
    return getattr(import_module(f"reasonlens.{_FOLDER_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
