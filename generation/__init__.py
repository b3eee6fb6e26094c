"""Write with models: sampling settings, one batched step loop over a key-value cache, followers with any tokenizer."""

from .cached_model import CachedModel, Follower, prompt_rows, text_of
from .continuation import continuations
from .drafts import Drafts
from .followed import generate_followed
from .loop import generate
from .policy_gradient import group_advantages, policy_gradient_loss
from .sampling import Sampling, choose_tokens, row_uniforms
from .state import Change, Gate, Intervention, Observer, StepState, divergence_nats, replacement, takeover
from .vocabulary import Vocabulary, end_tokens
from .writing import Written, encode_prompts, write

__all__ = [
    "CachedModel",
    "Change",
    "Drafts",
    "Follower",
    "Gate",
    "Intervention",
    "Observer",
    "Sampling",
    "StepState",
    "Vocabulary",
    "Written",
    "choose_tokens",
    "continuations",
    "divergence_nats",
    "encode_prompts",
    "end_tokens",
    "generate",
    "generate_followed",
    "group_advantages",
    "policy_gradient_loss",
    "prompt_rows",
    "replacement",
    "row_uniforms",
    "takeover",
    "text_of",
    "write",
]
