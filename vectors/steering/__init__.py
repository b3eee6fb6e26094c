"""Steer a model with directions: operations, the tokens at which they act, and counts of what was changed."""

from ._steer import SteeringNeverFired, steer
from .operations import OPERATIONS, operation_named
from .sentence_ends import at_sentence_ends, through_sentences
from .steered import Steered
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
    "through_sentences",
]
