"""Which behaviours models show, and which follows which: what training changed of it."""

from ._profile import profile
from .model_profile import ModelProfile, Share
from .policy import Policy, policy_of
from .result import ProfileResult
from .settings import ProfileSettings

__all__ = ["ModelProfile", "Policy", "ProfileResult", "ProfileSettings", "Share", "policy_of", "profile"]
