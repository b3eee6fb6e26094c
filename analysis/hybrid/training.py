"""Making a hybrid's parts from what the thinking model writes on training problems.

1. Rollouts of the thinking model, labelled by the annotator: the behaviours are the categories.
2. Mechanisms: vectors optimised through the base at the token before each sentence, at each layer asked for; and one
   general vector for all sentences, the control that knows no category.
3. Which: a linear probe on the base's own activation at that token, for the category of the sentence that comes.
4. When: a linear probe on the base's own activation at every token of the rollouts, for whether the thinking model's
   likeliest token differs from the base's. With it no thinking model is needed at inference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...activations import collect
from ...models import InputError, LanguageModel
from ...probes import LogisticProbe, MultinomialProbe
from ...probes.folds import common_labels
from ...traces import Template, Trace, encode
from ...vectors import Directions, OptimisedSettings, optimised_directions
from ...vectors.steering.sentence_ends import ends_sentence
from ..continuation import Sampling
from ..effect.writing import encode_prompts, write
from .decode import Chooser
from .gate import Gate, probe_over
from .moment import Moment
from .pair import Pair

N_FOLDS = 5
FORMAT_LABELS = ("nonsense",)  # never a category to steer towards
MOST_TOKENS = 40_000  # of the rollouts, for the gate


@dataclass(frozen=True, eq=False, kw_only=True)
class Parts:
    """What a hybrid is made of, at every layer that was tried."""

    directions: Directions  # of the categories
    bias: Directions  # one general vector, "bias"
    which: dict[int, tuple[Float[Tensor, "categories d_model"], Float[Tensor, " categories"]]]  # weights and offsets
    when: dict[int, tuple[Float[Tensor, " d_model"], float]]
    ends: Bool[Tensor, " vocabulary"]  # tokens of the base that end a sentence
    n_rollouts: int
    n_disagreements: int
    n_gate_tokens: int
    auroc_when: dict[int, float]  # on rollouts the probe has not seen

    @property
    def categories(self) -> tuple[str, ...]:
        return self.directions.behaviours

    def chooser(self, layer: int) -> Chooser:
        """The category that comes, by the probe at `layer`."""
        weight, offset = self.which[layer]

        def choose(moment: Moment) -> Tensor:
            scores = moment.base_acts.float() @ weight.T.to(moment.base_acts.device) + offset.to(
                moment.base_acts.device
            )
            return scores.argmax(dim=-1)

        return choose

    def gate(self, layer: int, threshold: float = 0.0) -> Gate:
        """The probe gate at `layer`: open above a log odds of `threshold`."""
        weight, offset = self.when[layer]
        return probe_over(weight, offset, threshold)


def train(
    pair: Pair,
    layers: Sequence[int],
    sampling: Sampling,
    *,
    seed: int = 0,
    settings: OptimisedSettings | None = None,
    progress: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> Parts:
    """All parts for `pair`. Raises InputError where the thinking model's rollouts show no behaviour often enough."""
    traces = rollouts(pair, sampling, seed)
    labels = [(span.label, trace.problem) for trace in traces for span in trace.spans]
    if not labels:
        raise InputError(
            f"the annotator finds no behaviour in what {pair.thinking.name} writes; give another annotator"
        )
    common = [
        name
        for name in common_labels([label for label, _ in labels], [problem for _, problem in labels], N_FOLDS)
        if name not in FORMAT_LABELS
    ]
    if len(common) < 2:
        raise InputError(
            f"the rollouts of {pair.thinking.name} show fewer than two behaviours in {N_FOLDS} problems or more"
        )
    note(f"{len(traces)} rollouts of {pair.thinking.name}: {', '.join(common)}")
    chosen = settings or OptimisedSettings(seed=seed)
    wanted = replace(chosen, behaviours=tuple(common))
    directions = optimised_directions(pair.base, traces, list(layers), wanted, progress=progress)
    biased = optimised_directions(pair.base, traces, list(layers), replace(wanted, bias=True), progress=progress)
    acts = collect(pair.base, traces, read="before:1", layers=list(layers), progress=False).load()
    which = {layer: _which(acts.layer(layer), acts.labels, directions.behaviours) for layer in layers}
    seen, disagrees, problem = token_table(pair, traces, layers)
    when, auroc = {}, {}
    for place, layer in enumerate(layers):
        when[layer], auroc[layer] = _when(seen[:, place], disagrees, problem)
    return Parts(
        directions=directions,
        bias=biased,
        which=which,
        when=when,
        ends=ends_sentence(pair.base),
        n_rollouts=len(traces),
        n_disagreements=int(disagrees.sum()),
        n_gate_tokens=len(disagrees),
        auroc_when=auroc,
    )


def rollouts(pair: Pair, sampling: Sampling, seed: int) -> list[Trace]:
    """What the thinking model writes on the training problems, labelled."""
    prompts = encode_prompts(pair.thinking, [each.prompt for each in pair.train], pair.thinking_template)
    said = write(pair.thinking, prompts, sampling, seed=seed)
    found = []
    for number, (question, response) in enumerate(zip(pair.train, said, strict=True)):
        spans = tuple(pair.annotator(question.prompt, response.text))
        found.append(Trace(f"rollout-{number}", question.prompt, response.text, spans, question.problem))
    return [trace for trace in found if trace.text.strip()]


def _which(
    acts: Float[Tensor, "n d_model"], labels: Sequence[str], categories: Sequence[str]
) -> tuple[Float[Tensor, "categories d_model"], Float[Tensor, " categories"]]:
    known = np.array([label in categories for label in labels])
    numbers = np.array([categories.index(label) for label in np.array(labels)[known]])
    probe = MultinomialProbe().fit(acts[torch.from_numpy(known)].numpy(), numbers)
    weight = torch.zeros(len(categories), acts.shape[1])
    offset = torch.full((len(categories),), -torch.inf)
    rows, offsets = probe.coef_, probe.intercept_
    if len(probe.classes_) == 2 and len(rows) == 1:
        rows, offsets = np.concatenate([-rows, rows]) / 2, np.concatenate([-offsets, offsets]) / 2
    for row, number in enumerate(probe.classes_):
        weight[number] = torch.from_numpy(np.asarray(rows[row])).float()
        offset[number] = float(offsets[row])
    return weight, offset


def _when(
    acts: Float[Tensor, "n d_model"], disagrees: Bool[np.ndarray, " n"], problem: np.ndarray
) -> tuple[tuple[Float[Tensor, " d_model"], float], float]:
    """The probe on all tokens, and its AUROC where a fifth of the problems was left out."""
    from sklearn.metrics import roc_auc_score

    if disagrees.all() or not disagrees.any():
        return (torch.zeros(acts.shape[1]), -1.0), float("nan")  # the gate never opens
    x = acts.numpy()
    held_out = problem % N_FOLDS == 0
    auroc = float("nan")
    if 0 < disagrees[held_out].sum() < held_out.sum() and 0 < disagrees[~held_out].sum() < (~held_out).sum():
        part = LogisticProbe().fit(x[~held_out], disagrees[~held_out])
        auroc = float(roc_auc_score(disagrees[held_out], part.decision_function(x[held_out])))
    whole = LogisticProbe().fit(x, disagrees)
    return (torch.from_numpy(whole.coef_[0]).float(), float(whole.intercept_[0])), auroc


@torch.inference_mode()
def token_table(
    pair: Pair, traces: Sequence[Trace], layers: Sequence[int], n_rows: int = 64
) -> tuple[Float[Tensor, "n n_layers d_model"], Bool[np.ndarray, " n"], np.ndarray]:
    """At every token from which one of a response is predicted: the base's activations, and whether the models differ.

    Both read the rollout after prompts of their own. The third: number of the problem.
    """
    numbers = {problem: number for number, problem in enumerate(dict.fromkeys(trace.problem for trace in traces))}
    found: list[Tensor] = []
    differs: list[Tensor] = []
    problem: list[np.ndarray] = []
    for start in range(0, len(traces), n_rows):
        part = traces[start : start + n_rows]
        base = _read(pair.base, part, pair.base_template, layers)
        thinking = _read(pair.thinking, part, pair.thinking_template, ())
        for trace, (acts, own), (_, led) in zip(part, base, thinking, strict=True):
            n = min(len(own), len(led))
            found.append(acts[len(own) - n :])
            differs.append(own[len(own) - n :] != led[len(led) - n :])
            problem.append(np.full(n, numbers[trace.problem]))
        if sum(map(len, differs)) >= MOST_TOKENS:
            break
    return torch.cat(found), torch.cat(differs).numpy(), np.concatenate(problem)


def _read(
    model: LanguageModel, traces: Sequence[Trace], template: Template, layers: Sequence[int]
) -> list[tuple[Float[Tensor, "n n_layers d_model"], Tensor]]:
    """For each trace, at the tokens that predict its response: activations and likeliest next tokens."""
    encoded = encode(model, traces, template=template, truncate=True)
    prompts = encode_prompts(model, [trace.prompt for trace in traces], template)
    width = max(len(each) for each in encoded)
    ids = torch.zeros(len(encoded), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, each in enumerate(encoded):
        ids[row, : len(each)], mask[row, : len(each)] = torch.from_numpy(each.token_ids), 1
    seen: dict[int, Tensor] = {}

    def keep(layer: int) -> Callable[..., None]:
        def hook(module: object, args: object, output: object) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            assert isinstance(hidden, Tensor)
            seen[layer] = hidden.float().cpu()

        return hook

    hooks = [model.blocks[layer].register_forward_hook(keep(layer)) for layer in layers]
    try:
        given = {"attention_mask": mask.to(model.device), "use_cache": False}
        if model.takes_position_ids:
            given["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0).to(model.device)
        likeliest = model.model(ids.to(model.device), **given).logits.argmax(dim=-1).cpu()
    finally:
        for hook in hooks:
            hook.remove()
    acts = torch.stack([seen[layer] for layer in layers], dim=2) if layers else torch.zeros(*ids.shape, 0, 0)
    return [
        (acts[row, len(prompt) - 1 : len(each) - 1], likeliest[row, len(prompt) - 1 : len(each) - 1])
        for row, (each, prompt) in enumerate(zip(encoded, prompts, strict=True))
    ]
