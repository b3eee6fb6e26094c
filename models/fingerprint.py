"""Digest a sample of a model's weights: cheap enough to be made anew whenever it is asked for, since weights change."""

from __future__ import annotations

import hashlib

from torch import nn

N_SAMPLED = 64  # numbers of each weight


def weights_fingerprint(model: nn.Module) -> str:
    """Digest a sample of every weight with its name, shape and type.

    Args:
        model: Any model; weights that accelerate has offloaded count by name, shape and type only.

    Returns:
        The digest, of 16 digits.
    """
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        if weight.device.type != "meta" and weight.numel():
            flat = weight.detach().flatten()
            sample = flat[:: max(1, len(flat) // N_SAMPLED)][:N_SAMPLED].float()
            digest.update(sample.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
