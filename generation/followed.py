"""Write with one model while another one reads along, whatever their tokenizers.

Both read the same response, each after a prompt of its own. With one tokenizer the tokens in common can be emitted, and
whatever ends a text for either model ends the response; with two the follower reads the same characters, and its logits
are mapped to the writer's tokens (`across.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..models import LanguageModel
from ..rundir import InputError
from .across import MappedFollower, TokenMap
from .cached_model import CachedModel, Follower
from .loop import generate
from .sampling import Sampling
from .state import Intervention, Observer
from .vocabulary import Vocabulary


def generate_followed(
    writer: LanguageModel,
    follower: LanguageModel | None,
    prompts: Sequence[Sequence[int]],
    follower_prompts: Sequence[Sequence[int]] | None,
    sampling: Sampling,
    *,
    seed: int = 0,
    n_rows: int = 128,
    numbers: Sequence[int] | None = None,
    more_ends: Sequence[int] = (),
    layer: int | None = None,
    follower_layer: int | None = None,
    interventions: Sequence[Intervention] = (),
    observe: Observer | None = None,
) -> tuple[list[list[int]], set[int]]:
    """Write a response to each prompt, with another model beside it.

    Args:
        writer: The model that writes.
        follower: The model that reads along; None: none does.
        prompts: Token ids of each prompt.
        follower_prompts: The same prompts in the follower's tokens; None: the writer's.
        sampling: Greedy, or temperature and nucleus, and how many tokens at most.
        seed: Of the random numbers.
        n_rows: Prompts that are run together; results do not depend on it.
        numbers: Of the prompts, where they are some of many; random numbers go by them. Default: 0, 1, 2, ...
        more_ends: Tokens that end a response, beside those of both models.
        layer: The writer's block whose output the state shows and interventions may replace; None: none.
        follower_layer: The follower's block whose output the state shows; None: none.
        interventions: Asked in order at every token; a later one has the last word.
        observe: Called after every token; may end rows.

    Returns:
        The token ids of each response, in the order of the prompts; and the tokens that end one.

    Raises:
        InputError: The follower's activations are asked for and it has other tokens, or a tokenizer does not give text
            back as it was.
    """
    token_map = None if follower is None else TokenMap.between(writer, follower)
    if follower_layer is not None and token_map is not None:
        raise InputError("the thinking model has other tokens than the base: an arm cannot look at its activations")
    same_tokens = follower if token_map is None else None
    vocabulary = Vocabulary.of(writer, same_tokens, more_ends, sampling.is_greedy)
    own_prompts = follower_prompts or prompts

    def follow(cached: CachedModel, places: Sequence[int]) -> Follower:
        assert follower is not None
        of_batch = [own_prompts[place] for place in places]
        if token_map is None:
            return CachedModel(follower, of_batch, read_layer=follower_layer)
        return MappedFollower(follower, of_batch, cached, token_map)

    limits = None
    if same_tokens is not None and same_tokens.context_tokens is not None:
        limits = [same_tokens.context_tokens - len(prompt) for prompt in own_prompts]
    responses = generate(
        writer,
        prompts,
        sampling,
        seed=seed,
        n_rows=n_rows,
        numbers=numbers,
        limits=limits,
        vocabulary=vocabulary,
        follower_of=None if follower is None else follow,
        layer=layer,
        interventions=interventions,
        observe=observe,
    )
    return responses, set(vocabulary.ends)
