"""Training the organisms: the trunk, its bases, reinforcement learning and fine-tuning, and whole families of them."""

from .adapt import AdaptSettings
from .directory import load_member
from .distill import DistillSettings
from .family import organisms_train, parse_members
from .members import BASES, DEFICITS, GRADED, MEMBERS, TRUNK, Member
from .reinforce import ReinforceSettings
from .stages import FamilySettings, train_stage
from .trunk import TrunkSettings

__all__ = [
    "BASES",
    "DEFICITS",
    "GRADED",
    "MEMBERS",
    "TRUNK",
    "AdaptSettings",
    "DistillSettings",
    "FamilySettings",
    "Member",
    "ReinforceSettings",
    "TrunkSettings",
    "load_member",
    "organisms_train",
    "parse_members",
    "train_stage",
]
