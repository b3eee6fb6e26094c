"""List the public names, each once: `__init__.py` reads them from here, and so do editors and type checkers."""

from .activations import (
    Activations as Activations,
)
from .activations import (
    Collection as Collection,
)
from .activations import (
    CollectSettings as CollectSettings,
)
from .activations import (
    Example as Example,
)
from .activations import (
    Moments as Moments,
)
from .activations import (
    Read as Read,
)
from .activations import (
    collect as collect,
)
from .activations import (
    collect_moments as collect_moments,
)
from .activations import (
    collect_pairs as collect_pairs,
)
from .activations.cluster import ClusterSettings as ClusterSettings
from .activations.cluster import collect_on_ray as collect_on_ray
from .activations.vllm_states import write_hidden_states as write_hidden_states
from .analysis import (
    BeforeAfter as BeforeAfter,
)
from .analysis import (
    LocateSettings as LocateSettings,
)
from .analysis import (
    Location as Location,
)
from .analysis import (
    ProbeSettings as ProbeSettings,
)
from .analysis import (
    Probing as Probing,
)
from .analysis import (
    Samples as Samples,
)
from .analysis import (
    SampleSettings as SampleSettings,
)
from .analysis import (
    ShownTraces as ShownTraces,
)
from .analysis import (
    Stability as Stability,
)
from .analysis import (
    StabilitySettings as StabilitySettings,
)
from .analysis import (
    TraceCheck as TraceCheck,
)
from .analysis import (
    compare_before_after as compare_before_after,
)
from .analysis import (
    directions as directions,
)
from .analysis import (
    figure as figure,
)
from .analysis import (
    locate as locate,
)
from .analysis import (
    probe as probe,
)
from .analysis import (
    sample as sample,
)
from .analysis import (
    sample_boundaries as sample_boundaries,
)
from .analysis import (
    score as score,
)
from .analysis import (
    stability as stability,
)
from .analysis import (
    token_view as token_view,
)
from .analysis import (
    traces_check as traces_check,
)
from .analysis import (
    traces_show as traces_show,
)
from .analysis.effect import (
    EffectSettings as EffectSettings,
)
from .analysis.effect import (
    FindSettings as FindSettings,
)
from .analysis.effect import (
    SteeredResponse as SteeredResponse,
)
from .analysis.effect import (
    SteeringMatrix as SteeringMatrix,
)
from .analysis.effect import (
    SteeringSearch as SteeringSearch,
)
from .analysis.effect import (
    StrengthCurves as StrengthCurves,
)
from .analysis.effect import (
    steer_find as steer_find,
)
from .analysis.effect import (
    steer_matrix as steer_matrix,
)
from .analysis.effect import (
    steer_sweep as steer_sweep,
)
from .analysis.effect import (
    steer_write as steer_write,
)
from .analysis.label import Labelling as Labelling
from .analysis.label import label as label
from .analysis.label import label_review as label_review
from .generation.engines import Endpoint as Endpoint
from .models import LanguageModel as LanguageModel
from .models import doctor as doctor
from .models import load as load
from .organisms import organisms_traces as organisms_traces
from .organisms.evaluation import EvaluateSettings as EvaluateSettings
from .organisms.evaluation import organisms_evaluate as organisms_evaluate
from .organisms.training import FamilySettings as FamilySettings
from .organisms.training import organisms_train as organisms_train
from .pairs import (
    Pair as Pair,
)
from .pairs import (
    open_pairs as open_pairs,
)
from .pairs import (
    organism_pair as organism_pair,
)
from .pairs import (
    question_pair as question_pair,
)
from .pairs._regrade import PublishedKeys as PublishedKeys
from .pairs._regrade import Regraded as Regraded
from .pairs._regrade import regrade as regrade
from .pairs.decisions import (
    DecisionsResult as DecisionsResult,
)
from .pairs.decisions import (
    DecisionsSettings as DecisionsSettings,
)
from .pairs.decisions import (
    decisions as decisions,
)
from .pairs.dynamics import (
    DynamicsResult as DynamicsResult,
)
from .pairs.dynamics import (
    DynamicsSettings as DynamicsSettings,
)
from .pairs.dynamics import (
    dynamics as dynamics,
)
from .pairs.elicit import (
    ElicitResult as ElicitResult,
)
from .pairs.elicit import (
    ElicitSettings as ElicitSettings,
)
from .pairs.elicit import (
    elicit as elicit,
)
from .pairs.exchange import (
    Calibration as Calibration,
)
from .pairs.exchange import (
    ExchangeResult as ExchangeResult,
)
from .pairs.exchange import (
    ExchangeSettings as ExchangeSettings,
)
from .pairs.exchange import (
    calibrate as calibrate,
)
from .pairs.exchange import (
    exchange as exchange,
)
from .pairs.geometry import (
    GeometryResult as GeometryResult,
)
from .pairs.geometry import (
    GeometrySettings as GeometrySettings,
)
from .pairs.geometry import (
    geometry as geometry,
)
from .pairs.hybrid import (
    HybridResult as HybridResult,
)
from .pairs.hybrid import (
    HybridSettings as HybridSettings,
)
from .pairs.hybrid import (
    PairResult as PairResult,
)
from .pairs.hybrid import (
    PairRun as PairRun,
)
from .pairs.hybrid import (
    SteeredTrace as SteeredTrace,
)
from .pairs.hybrid import (
    hybrid as hybrid,
)
from .pairs.likelihood import (
    LikelihoodResult as LikelihoodResult,
)
from .pairs.likelihood import (
    LikelihoodSettings as LikelihoodSettings,
)
from .pairs.likelihood import (
    likelihood as likelihood,
)
from .pairs.passk import (
    PasskResult as PasskResult,
)
from .pairs.passk import (
    PasskSettings as PasskSettings,
)
from .pairs.passk import (
    passk as passk,
)
from .pairs.profile import (
    ProfileResult as ProfileResult,
)
from .pairs.profile import (
    ProfileSettings as ProfileSettings,
)
from .pairs.profile import (
    profile as profile,
)
from .pairs.records import RunComparison as RunComparison
from .pairs.records import RunList as RunList
from .pairs.records import compare as compare
from .pairs.records import read_result as read_result
from .pairs.records import runs as runs
from .pairs.reward import RewardSettings as RewardSettings
from .pairs.reward import TrainedVectors as TrainedVectors
from .pairs.reward import train_vectors as train_vectors
from .pairs.verdict import VerdictResult as VerdictResult
from .pairs.verdict import VerdictSettings as VerdictSettings
from .pairs.verdict import verdict as verdict
from .probes import (
    DiscriminantProbe as DiscriminantProbe,
)
from .probes import (
    LogisticProbe as LogisticProbe,
)
from .probes import (
    MeanDifferenceProbe as MeanDifferenceProbe,
)
from .probes import (
    MultinomialProbe as MultinomialProbe,
)
from .probes import (
    ProbeSweep as ProbeSweep,
)
from .probes import (
    RidgeProbe as RidgeProbe,
)
from .probes import (
    SavedProbes as SavedProbes,
)
from .probes import (
    TransferMatrix as TransferMatrix,
)
from .probes import (
    sweep as sweep,
)
from .probes import (
    transfer as transfer,
)
from .rundir import InputError as InputError
from .traces import (
    ContrastPair as ContrastPair,
)
from .traces import (
    Span as Span,
)
from .traces import (
    Trace as Trace,
)
from .traces import (
    bundled_traces as bundled_traces,
)
from .traces import (
    encode as encode,
)
from .traces import (
    iter_traces as iter_traces,
)
from .traces import (
    parse_annotated as parse_annotated,
)
from .traces import (
    read_traces as read_traces,
)
from .traces import (
    segment as segment,
)
from .traces import (
    traces_convert as traces_convert,
)
from .traces import (
    write_traces as write_traces,
)
from .traces.judge import Judge as Judge
from .traces.problem_sets import ProblemSet as ProblemSet
from .traces.problem_sets import open_problem_set as open_problem_set
from .traces.questions import Question as Question
from .vectors import (
    Direction as Direction,
)
from .vectors import (
    Directions as Directions,
)
from .vectors import (
    OptimisedSettings as OptimisedSettings,
)
from .vectors import (
    Steering as Steering,
)
from .vectors import (
    When as When,
)
from .vectors import (
    at_sentence_ends as at_sentence_ends,
)
from .vectors import (
    bootstrap_stability as bootstrap_stability,
)
from .vectors import convert as convert
from .vectors import (
    export as export,
)
from .vectors import (
    import_ as import_,
)
from .vectors import (
    lda_directions as lda_directions,
)
from .vectors import (
    logistic_directions as logistic_directions,
)
from .vectors import (
    mean_difference as mean_difference,
)
from .vectors import (
    mean_difference_directions as mean_difference_directions,
)
from .vectors import (
    optimised_directions as optimised_directions,
)
from .vectors import (
    pca_directions as pca_directions,
)
from .vectors import (
    project_out_content as project_out_content,
)
from .vectors import (
    ridge_directions as ridge_directions,
)
from .vectors import (
    steer as steer,
)
from .vectors import (
    with_norms_of as with_norms_of,
)
from .vectors.steering.in_vllm import steer_vllm as steer_vllm

__version__: str
