"""This project, with the five sites of each block from one pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from peers.reasonlens import prepare as prepare_reading
from spec import Spec, Workload

SITES = ("hook_resid_pre", "hook_attn_out", "hook_resid_mid", "hook_mlp_out", "hook_out")


def prepare(spec: Spec) -> Callable[[Workload], np.ndarray]:
    return prepare_reading(spec, sites=SITES)
