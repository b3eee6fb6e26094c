"""Collect over a Ray cluster: one actor for each GPU (or share of the cores), one driver that hands out windows."""

from .run import ClusterSettings, collect_on_ray

__all__ = ["ClusterSettings", "collect_on_ray"]
