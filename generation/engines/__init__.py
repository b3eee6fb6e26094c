"""Sample with different engines: transformers in this process, vLLM, or a chat-completions endpoint."""

from .endpoint import Endpoint
from .engine import Engine, Keep, Manner, Place, Request, Response, Writer, sample_seed
from .registry import ENGINES, engine_of

__all__ = [
    "ENGINES",
    "Endpoint",
    "Engine",
    "Keep",
    "Manner",
    "Place",
    "Request",
    "Response",
    "Writer",
    "engine_of",
    "sample_seed",
]
