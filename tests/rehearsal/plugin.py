"""A pytest plugin (`-p tests.rehearsal.plugin`): puts the stand-in into the process before models are imported."""

from __future__ import annotations

import os

from . import stand_in

KIND = "REASONLENS_STAND_IN"  # environment: which kind to install


def install() -> None:
    """Install the stand-in that the environment names, once; also the setup hook of Ray's workers."""
    if KIND not in os.environ or stand_in.machine is not None:
        return
    stand_in.install(os.environ[KIND])
    from reasonlens.models import device_copies

    device_copies.PINNED = {os.environ[KIND]}  # the stand-in knows pinned memory, whichever it is


install()
