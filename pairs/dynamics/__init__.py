"""Dynamics of a training."""
