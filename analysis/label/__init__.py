"""Label the sentences of traces by several annotators, measure how far they agree, and let a person review them."""

from ._label import label
from .labelling import Labelling
from .server import label_review

__all__ = ["Labelling", "label", "label_review"]
