"""List the public names, each once: `__init__.py` reads them from here, and so do editors and type checkers."""

from .activations import (
    Activations as Activations,
    CollectSettings as CollectSettings,
    Example as Example,
    Moments as Moments,
    Read as Read,
    collect as collect,
    collect_moments as collect_moments,
)
from .activations.cluster import ClusterSettings as ClusterSettings, collect_on_ray as collect_on_ray
from .analysis import (
    BeforeAfter as BeforeAfter,
    LocateSettings as LocateSettings,
    Location as Location,
    ProbeSettings as ProbeSettings,
    Probing as Probing,
    Stability as Stability,
    boundary_stability as boundary_stability,
    compare_before_after as compare_before_after,
    locate as locate,
    probe as probe,
    score as score,
)
from .analysis.effect import (
    DoseCurves as DoseCurves,
    EffectSettings as EffectSettings,
    SteeringMatrix as SteeringMatrix,
    dose_curves as dose_curves,
    steering_matrix as steering_matrix,
)
from .models import LanguageModel as LanguageModel, load as load
from .pairs.hybrid import (
    HybridResult as HybridResult,
    HybridSettings as HybridSettings,
    Pair as Pair,
    PairRun as PairRun,
    SteeredTrace as SteeredTrace,
    organism_pair as organism_pair,
    question_pair as question_pair,
    run_pair as run_pair,
)
from .probes import (
    DiscriminantProbe as DiscriminantProbe,
    LogisticProbe as LogisticProbe,
    MeanDifferenceProbe as MeanDifferenceProbe,
    MultinomialProbe as MultinomialProbe,
    ProbeSweep as ProbeSweep,
    RidgeProbe as RidgeProbe,
    SavedProbes as SavedProbes,
    TransferMatrix as TransferMatrix,
    sweep as sweep,
    transfer as transfer,
)
from .rundir import InputError as InputError
from .traces import (
    Span as Span,
    Trace as Trace,
    bundled_traces as bundled_traces,
    encode as encode,
    iter_traces as iter_traces,
    parse_annotated as parse_annotated,
    read_traces as read_traces,
    segment as segment,
    write_traces as write_traces,
)
from .traces.judge import Judge as Judge
from .traces.problem_sets import ProblemSet as ProblemSet, open_problem_set as open_problem_set
from .traces.questions import Question as Question
from .vectors import (
    Direction as Direction,
    Directions as Directions,
    OptimisedSettings as OptimisedSettings,
    Steering as Steering,
    When as When,
    at_sentence_ends as at_sentence_ends,
    bootstrap_stability as bootstrap_stability,
    export_directions as export_directions,
    import_directions as import_directions,
    lda_directions as lda_directions,
    logistic_directions as logistic_directions,
    mean_difference as mean_difference,
    mean_difference_directions as mean_difference_directions,
    optimised_directions as optimised_directions,
    pca_directions as pca_directions,
    project_out_content as project_out_content,
    ridge_directions as ridge_directions,
    steer as steer,
    with_norms_of as with_norms_of,
)

__version__: str
