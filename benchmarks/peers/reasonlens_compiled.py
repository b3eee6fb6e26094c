"""This project with compiled blocks; compiling is done in the warm-up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from peers.reasonlens import prepare as prepare_plain
from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], np.ndarray]:
    return prepare_plain(spec, compile=True)
