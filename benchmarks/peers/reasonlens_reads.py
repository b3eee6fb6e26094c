"""This project, with three reads of each span from one pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from peers.reasonlens import prepare as prepare_reading
from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], np.ndarray]:
    return prepare_reading(spec, reads=("mean", "before:1", "window:-1:10"))
