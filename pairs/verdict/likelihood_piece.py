"""Likelihoods as a piece of evidence: would the base write what the thinking model writes?"""

from __future__ import annotations

from ..likelihood import LikelihoodResult, LikelihoodSettings, likelihood
from .evidence_line import EvidenceLine, LineReading
from .piece import Rung, Subject

N_READ = 2  # of the responses to each problem, by both models
LOSS = "nats a token"
DISTANCE = "distance of behaviours, 0: the same"
DECIDES = (
    "This tells neither when nor how, and is silent: of an organism that was taught when and of one that was taught "
    "how the base finds the trained model's responses likelier than its own. It says that training chose among what "
    "was there."
)


def likelihood_line(subject: Subject, rungs: tuple[Rung, ...]) -> EvidenceLine:
    """Let each model of the pair read what both write.

    Args:
        subject: The pair.
        rungs: The last one is measured.

    Returns:
        The loss of the thinking model's responses in the base beside that of the base's own, and how nearly behaviours
        match.

    Raises:
        InputError: The pair cannot be sampled or read.
    """
    rung = rungs[-1]
    setup = subject.setup(f"likelihood/{rung.n_problems}", rung)
    result = likelihood(
        pairs=[setup.pair],
        settings=LikelihoodSettings(n_read=min(N_READ, rung.n_samples), **setup.common),
        out=setup.out,
        progress=subject.progress,
    )
    return line_of_likelihood(result, rung.size, setup.folder)


def line_of_likelihood(result: LikelihoodResult, size: str, folder: str) -> EvidenceLine:
    """Read the line off a likelihood measurement.

    Args:
        result: Of one pair.
        size: How much was measured, in words.
        folder: Where it lies.

    Returns:
        The line.
    """
    (pair,) = result.pairs.values()
    cells = (
        ("thinking model's responses, read by the base", "thinking", "base"),
        ("base's own responses, read by the base", "base", "base"),
        ("thinking model's responses, read by itself", "thinking", "thinking"),
    )
    readings = [
        LineReading(name=name, role="control" if number else "figure", share=pair.loss(writer, reader), unit=LOSS)
        for number, (name, writer, reader) in enumerate(cells)
    ]
    has_behaviours = any(match.distance.value for match in pair.matches)  # else all are alike, for want of labels
    for source in dict.fromkeys(match.source for match in pair.matches if has_behaviours):
        curve = pair.match(source)
        readings.append(
            LineReading(
                name=f"nearest of {curve[-1].k}: {source}",
                role="figure" if source == "base" else "control",
                share=curve[-1].distance,
                unit=DISTANCE,
            )
        )
    own, other = pair.loss("base", "base"), pair.loss("thinking", "base")
    standing = (
        "likelier than" if other.high < own.low else "less likely than" if other.low > own.high else "as likely as"
    )
    return EvidenceLine(
        piece="likelihood",
        title="How likely is the base to write what the thinking model writes?",
        size=size,
        readings=tuple(readings),
        says=f"to the base a token of the thinking model's responses is {standing} one of its own, as far as intervals "
        "tell",
        decides=DECIDES,
        findings=(),
        verdict=None,
        folder=folder,
    )
