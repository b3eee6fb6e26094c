"""Load a language model from any of its forms into one handle, and find its parts."""

from ._load import load, wrap
from .built_in import BUILT_IN
from .diagnosis import doctor
from .elsewhere import gguf_elsewhere, name_elsewhere
from .handle import LanguageModel
from .organism import Organism, organism_names

__all__ = [
    "BUILT_IN",
    "LanguageModel",
    "Organism",
    "doctor",
    "gguf_elsewhere",
    "load",
    "name_elsewhere",
    "organism_names",
    "wrap",
]
