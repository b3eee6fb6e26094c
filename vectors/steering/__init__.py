"""Steering a model with directions: what is done, at which tokens, and how many were changed."""

from ._steer import Steered, SteeringNeverFired, steer
from .operations import OPERATIONS, operation_named
from .sentence_ends import at_sentence_ends
from .steering import Controller, Steering
from .step import Step
from .when import When

__all__ = [
    "OPERATIONS",
    "Controller",
    "Steered",
    "Steering",
    "SteeringNeverFired",
    "Step",
    "When",
    "at_sentence_ends",
    "operation_named",
    "steer",
]
