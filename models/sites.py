"""Name the sites of a block at which activations are read and changed, as TransformerLens names them.

    hook_resid_pre        the residual stream before the block
    hook_attn_out         what attention adds to it: after the norm and the factor that some models put behind attention
    hook_resid_mid        the residual stream between attention and MLP; not where the two run side by side
    hook_mlp_out          what the MLP adds, likewise
    hook_out              the residual stream after the block (the default)
    attn.hook_out         the output of attention itself, before such a norm or factor
    mlp.hook_out          the output of the MLP itself, likewise
    attn.hook_result:H    what head H contributes to the output of attention, times such a factor, without the bias

TransformerLens's prefix is `blocks.L.`. `hook_in` and `hook_resid_post` are other names of the first and the last.
Where a model norms the stream itself after each sum (OPT 350M, GPT-1), hook_resid_mid is the stream that the MLP reads.
`find_place.py` finds the module of a model that computes a site.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..rundir import InputError, did_you_mean, text_of

SITES = (
    "hook_resid_pre",
    "hook_attn_out",
    "hook_resid_mid",
    "hook_mlp_out",
    "hook_out",
    "attn.hook_out",
    "mlp.hook_out",
)
HEAD = "attn.hook_result"
OTHER_NAMES = {"hook_in": "hook_resid_pre", "hook_resid_post": "hook_out"}


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a block; `str(site)` is its name, which `Site.parse` reads."""

    name: str
    head: int | None = None

    def __post_init__(self) -> None:
        is_head = isinstance(self.head, int) and not isinstance(self.head, bool) and self.head >= 0
        if not (self.name == HEAD and is_head) and not (self.name in SITES and self.head is None):
            raise InputError(f"there is no site {self.name!r} with head {self.head!r}; use Site.parse(name)")

    @classmethod
    def parse(cls, text: str) -> Site:
        """Parse the name of a site.

        Args:
            text: One of `SITES`, hook_in, hook_resid_post, or attn.hook_result:H for head H.

        Returns:
            The site.

        Raises:
            InputError: The text is none of these.
        """
        name, _, head = text_of(text, "site").partition(":")
        name = OTHER_NAMES.get(name, name)
        if name == HEAD and head.isascii() and head.isdigit():
            return cls(name, int(head))
        if name in SITES and ":" not in text:
            return cls(name)
        prefix = " Give the name without blocks.L. before it." if text.startswith("blocks.") else ""
        raise InputError(
            f"unknown site {text!r:.80}: use {', '.join(SITES)} or {HEAD}:H (head H, from 0).{prefix}"
            f"{did_you_mean(name.removeprefix('blocks.'), (*SITES, *OTHER_NAMES, HEAD))}"
        )

    def in_block(self, layer: int) -> str:
        """Write the name of the site in one block as TransformerLens does.

        Args:
            layer: The 0-based block.

        Returns:
            The name, such as blocks.3.hook_attn_out; of a head that of all heads.
        """
        return f"blocks.{layer}.{self.name}"

    def __str__(self) -> str:
        return self.name if self.head is None else f"{self.name}:{self.head}"


def added_at(site: Site) -> Site:
    """Return the site at which a hook of TransformerLens adds a vector as it is added at a site here.

    A hook at hook_resid_mid reaches the MLP alone, and not what its output is added to, and heads are summed anyway.

    Args:
        site: The site.

    Returns:
        The site whose name TransformerLens is given.
    """
    if site.head is not None:
        return Site("attn.hook_out")
    return Site("hook_attn_out") if site.name == "hook_resid_mid" else site


def at_site(site: Site) -> str:
    """Write where something is, for a line of text: nothing for the block's output, which is the default.

    Args:
        site: The site.

    Returns:
        " at hook_attn_out", say.
    """
    return "" if site == BLOCK_OUTPUT else f" at {site}"


BLOCK_OUTPUT = Site("hook_out")
BEFORE_BLOCK = Site("hook_resid_pre")
