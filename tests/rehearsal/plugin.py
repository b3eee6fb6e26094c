"""A pytest plugin (`-p tests.rehearsal.plugin`): puts the stand-in into the process before models are imported."""

from __future__ import annotations

import os

from .stand_in import install

KIND = "REASONLENS_STAND_IN"  # environment: which kind to install

if KIND in os.environ:
    install(os.environ[KIND])
    from reasonlens.models import device_copies

    device_copies.PINNED = {os.environ[KIND]}  # the stand-in knows pinned memory, whichever it is
