"""A result made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from reasonlens.pairs.profile import ProfileResult, ProfileSettings, policy_of
from reasonlens.pairs.profile.model_profile import profile_of
from reasonlens.stats import Interval

EVIL = "<script>alert('x')</script>"
RESPONSES = {"p": [["a", EVIL, "a"], ["a"]], "q": [["a", "a"]], "r": [[EVIL]]}


def profile_result() -> ProfileResult:
    """A base and one model, and the control."""
    accuracy = Interval(0.5, 0.4, 0.6, 3)
    base = policy_of(RESPONSES, ["a", EVIL])
    other = policy_of({"p": [[EVIL]], "q": [["a", EVIL]], "r": [[EVIL, "a"]]}, ["a", EVIL])
    profiles = (
        profile_of(EVIL, "all", accuracy, base),
        profile_of("thinking", "all", accuracy, other, base),
        profile_of("the same, other samples", "all", accuracy, base, base),
    )
    return ProfileResult(pairs={EVIL: profiles}, settings=ProfileSettings())
