"""The table of arms: what each is, when it cannot run, and how it is made ready. A new arm is one entry."""

from __future__ import annotations

from .arm import ElicitArm, ElicitContext
from .cognitive_tools import prepare_tools
from .hybrid_arm import prepare_hybrid
from .one_example import prepare_one_example
from .prompting import prepare_plain, prepare_steps
from .steering import prepare_steering
from .trained import prepare_reward_vectors, prepare_thinking

PLAIN, STEPS, TOOLS = "plain", "step-by-step", "cognitive-tools"
STEERING, HYBRID, REWARD = "steering", "hybrid", "reward-vectors"
ONE_EXAMPLE, THINKING = "one-example", "thinking"


def _always(context: ElicitContext) -> str:
    return ""


def _in_words(context: ElicitContext) -> str:
    if context.has_words:
        return ""
    return f"the language of {context.base.name} has no words for instructions"


def _with_thinking(context: ElicitContext) -> str:
    return "" if context.has_thinking else "there is no thinking model: give one (--thinking)"


def _has_thinking(context: ElicitContext) -> bool:
    return context.has_thinking


def _has_found_directions(context: ElicitContext) -> bool:
    return context.has_thinking and context.directions is None


def _with_vectors(context: ElicitContext) -> str:
    if context.reward_vectors is not None or context.settings.reward_steps:
        return ""
    return "give vectors that `train-vectors` wrote (--reward-vectors), or steps to train some (--reward-steps)"


ARMS: dict[str, ElicitArm] = {
    arm.name: arm
    for arm in (
        ElicitArm(
            name=PLAIN,
            about="the base, asked the question",
            role="prompt",
            refusal=_always,
            prepare=prepare_plain,
            is_instant=True,
        ),
        ElicitArm(
            name=STEPS,
            about="asked to think step by step",
            role="prompt",
            refusal=_in_words,
            prepare=prepare_steps,
            is_instant=True,
        ),
        ElicitArm(
            name=TOOLS,
            about="understand, recall, attempt, examine, backtrack and answer as calls of their own",
            role="prompt",
            refusal=_in_words,
            prepare=prepare_tools,
            is_instant=True,
        ),
        ElicitArm(
            name=STEERING,
            about="one behaviour's direction added where sentences begin",
            role="timing",
            refusal=_always,
            prepare=prepare_steering,
            needs_thinking=_has_found_directions,
            is_metered=True,
        ),
        ElicitArm(
            name=HYBRID,
            about="steered where the thinking model would say otherwise",
            role="timing",
            refusal=_with_thinking,
            prepare=prepare_hybrid,
            needs_thinking=_has_thinking,
            is_metered=True,
        ),
        ElicitArm(
            name=REWARD,
            about="one vector a block, trained by reward",
            role="timing",
            refusal=_with_vectors,
            prepare=prepare_reward_vectors,
        ),
        ElicitArm(
            name=ONE_EXAMPLE,
            about="fine-tuned on marked responses to one problem",
            role="weights",
            refusal=_always,
            prepare=prepare_one_example,
            needs_thinking=_has_thinking,
        ),
        ElicitArm(
            name=THINKING,
            about="the thinking model alone",
            role="weights",
            refusal=_with_thinking,
            prepare=prepare_thinking,
            needs_thinking=_has_thinking,
            is_instant=True,
        ),
    )
}
