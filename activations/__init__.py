"""Reading residual-stream activations of labelled spans: which tokens, in which batches, pooled inside the forward."""

from ._collect import collect
from .activations import Activations
from .example import Example
from .layers import parse_layers
from .moments import Moments, collect_moments
from .read import Read
from .settings import CollectSettings

__all__ = ["Activations", "CollectSettings", "Example", "Moments", "Read", "collect", "collect_moments", "parse_layers"]
