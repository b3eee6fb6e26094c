"""This project without prefix sharing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from peers.reasonlens import prepare as prepare_sharing
from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], np.ndarray]:
    return prepare_sharing(spec, share_prefixes=False)
