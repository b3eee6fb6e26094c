"""Loading a language model from any of its forms into one handle, and finding its parts."""

from .errors import InputError
from .handle import LanguageModel
from .load import BUILT_IN, load, wrap

__all__ = ["BUILT_IN", "InputError", "LanguageModel", "load", "wrap"]
