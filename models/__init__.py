"""Loading a language model from any of its forms into one handle, and finding its parts."""

from .errors import InputError
from .handle import LanguageModel
from .load import BUILT_IN, load, wrap
from .organism import Organism, organism_names

__all__ = ["BUILT_IN", "InputError", "LanguageModel", "Organism", "load", "organism_names", "wrap"]
