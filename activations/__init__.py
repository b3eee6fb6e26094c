"""Reading residual-stream activations of labelled spans: which tokens, in which batches, pooled inside the forward."""

from .activations import Activations, parse_layers
from .collect import collect
from .example import Example
from .moments import Moments, collect_moments
from .read import Read

__all__ = ["Activations", "Example", "Moments", "Read", "collect", "collect_moments", "parse_layers"]
