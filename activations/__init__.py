"""Reading residual-stream activations of labelled spans: which tokens, in which batches, pooled inside the forward."""

from .activations import Activations, parse_layers
from .collect import collect
from .example import Example
from .read import Read

__all__ = ["Activations", "Example", "Read", "collect", "parse_layers"]
