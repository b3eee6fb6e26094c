"""What models write: sampling settings, one batched step loop over a key-value cache, and other tokenizers."""

from .cached_model import CachedModel, Follower
from .continuation import continuations
from .sampling import Sampling, choose_tokens, row_uniforms
from .state import Gate, StepState
from .vocabulary import end_tokens
from .writing import Written, encode_prompts, write

__all__ = [
    "CachedModel",
    "Follower",
    "Gate",
    "Sampling",
    "StepState",
    "Written",
    "choose_tokens",
    "continuations",
    "encode_prompts",
    "end_tokens",
    "row_uniforms",
    "write",
]
