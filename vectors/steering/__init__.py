"""Steering a model with directions."""
