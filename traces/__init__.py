"""Read, write, label and tokenise reasoning traces."""

from .annotated import parse_annotated
from .annotators import Annotator, KeywordAnnotator, keyword_annotator, within_thoughts
from .behaviour_sets import Behaviour, BehaviourSet, open_behaviour_set
from .bundled import bundled_traces
from .contrast_pairs import ContrastPair, PairSource, resolve_pairs
from .convert import traces_convert
from .encoding import EncodedTrace, Template, encode
from .files import iter_traces, read_traces
from .jsonl import digest, write_traces
from .markers import BEHAVIOURS, MARKERS, is_marked
from .sentences import segment
from .sources import TraceSource, resolve_traces, stream_traces
from .token_spans import token_span
from .trace import Span, Trace
from .trace_list import TraceList

__all__ = [
    "BEHAVIOURS",
    "MARKERS",
    "Annotator",
    "ContrastPair",
    "Behaviour",
    "BehaviourSet",
    "KeywordAnnotator",
    "EncodedTrace",
    "PairSource",
    "Span",
    "Template",
    "Trace",
    "bundled_traces",
    "digest",
    "encode",
    "is_marked",
    "open_behaviour_set",
    "parse_annotated",
    "iter_traces",
    "keyword_annotator",
    "read_traces",
    "resolve_pairs",
    "resolve_traces",
    "stream_traces",
    "TraceList",
    "TraceSource",
    "segment",
    "token_span",
    "traces_convert",
    "within_thoughts",
    "write_traces",
]
