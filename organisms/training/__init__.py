"""Training the organisms: the base, reinforcement learning and fine-tuning, and whole families of them."""

from .distill import DistillSettings
from .family import STAGES, FamilySettings, parse_members, train_family, train_stage
from .pretrain import PretrainSettings
from .reinforce import ReinforceSettings

__all__ = [
    "STAGES",
    "DistillSettings",
    "FamilySettings",
    "PretrainSettings",
    "ReinforceSettings",
    "parse_members",
    "train_family",
    "train_stage",
]
