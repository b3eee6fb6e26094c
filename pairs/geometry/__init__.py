"""How alike a base and a thinking model are inside, and which of their weights carry the difference."""

from ._geometry import geometry
from .grafts import GraftFigures, Grafts
from .pair_geometry import PairGeometry
from .result import GeometryResult
from .settings import PARTS, GeometrySettings

__all__ = [
    "PARTS",
    "GeometryResult",
    "GeometrySettings",
    "GraftFigures",
    "Grafts",
    "PairGeometry",
    "geometry",
]
