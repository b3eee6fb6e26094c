"""Figures: each function takes a result and returns a plotly figure; none computes anything."""

from .calibration import calibration_curves
from .cosine import cosine_heatmap
from .curves import layer_curves
from .heatmap import layer_heatmap
from .transfer import transfer_heatmap

__all__ = ["calibration_curves", "cosine_heatmap", "layer_curves", "layer_heatmap", "transfer_heatmap"]
