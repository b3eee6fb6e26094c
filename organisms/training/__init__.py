"""Training the organisms: the base, reinforcement learning and fine-tuning, and whole families of them."""

from .distill import DistillSettings
from .family import organisms_train, parse_members
from .pretrain import PretrainSettings
from .reinforce import ReinforceSettings
from .stages import STAGES, FamilySettings, train_stage

__all__ = [
    "STAGES",
    "DistillSettings",
    "FamilySettings",
    "PretrainSettings",
    "ReinforceSettings",
    "parse_members",
    "organisms_train",
    "train_stage",
]
