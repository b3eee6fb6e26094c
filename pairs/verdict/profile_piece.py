"""Profiles as a piece of evidence: which behaviours became more or less frequent?"""

from __future__ import annotations

from ..profile import ModelProfile, ProfileResult, ProfileSettings, profile
from ..profile.model_profile import RATE
from ..profile.policy import ALL
from .evidence_line import EvidenceLine, LineReading, ReadingRole
from .piece import Rung, Subject

RATES = "share of sentences, less the base's"
N_SHOWN = 3
DECIDES = (
    "This tells neither when nor how, and is silent: rates and transitions differ for organisms that were taught how "
    "as well, since who makes fewer mistakes has less to take back."
)


def profile_line(subject: Subject, rungs: tuple[Rung, ...]) -> EvidenceLine:
    """Count behaviours of both models.

    Args:
        subject: The pair.
        rungs: The last one is measured.

    Returns:
        The rates that differ most from the base's, beside those of other samples of the base.

    Raises:
        InputError: The pair cannot be sampled, or no sentence shows a behaviour.
    """
    setup = subject.setup(f"profile/{rungs[-1].n_problems}", rungs[-1])
    result = profile(
        pairs=[setup.pair], settings=ProfileSettings(**setup.common), out=setup.out, progress=subject.progress
    )
    return line_of_profile(result, rungs[-1].size, setup.folder)


def line_of_profile(result: ProfileResult, size: str, folder: str) -> EvidenceLine:
    """Read the line off profiles.

    Args:
        result: Of one pair.
        size: How much was counted, in words.
        folder: Where it lies.

    Returns:
        The line.
    """
    (profiles,) = result.pairs.values()
    _, *others, control = [one for one in profiles if one.responses == ALL]
    thinking: ModelProfile = others[-1]
    rates = [
        share for share in thinking.shares if share.before == RATE and share.difference.value == share.difference.value
    ]
    rates = sorted(rates, key=lambda share: -abs(share.difference.value))[:N_SHOWN]
    sides: tuple[tuple[str, ReadingRole, ModelProfile], ...] = (
        ("thinking model", "figure", thinking),
        ("other samples of the base", "control", control),
    )
    readings = [
        LineReading(name=f"{rate.behaviour}, {name}", role=role, share=of.rate(rate.behaviour).difference, unit=RATES)
        for rate in rates
        for name, role, of in sides
    ]
    (n, n_compared), (n_control, n_control_compared) = thinking.n_differing, control.n_differing
    return EvidenceLine(
        piece="profile",
        title="Which behaviours became more or less frequent?",
        size=size,
        readings=tuple(readings),
        says=f"{n} of {n_compared} rates and transitions differ from the base's, of other samples of the base "
        f"{n_control} of {n_control_compared}",
        decides=DECIDES,
        findings=(),
        verdict=None,
        folder=folder,
    )
