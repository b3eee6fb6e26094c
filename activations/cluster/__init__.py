"""Collecting over a cluster with Ray: one actor a GPU (or a share of the cores), one driver that hands out windows."""

from .run import ClusterSettings, collect_on_ray

__all__ = ["ClusterSettings", "collect_on_ray"]
