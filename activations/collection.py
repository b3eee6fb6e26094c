"""Hold what one pass gave: activations or moments of several reads and sites, chosen one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from ..models.sites import Site
from ..rundir import InputError, did_you_mean, looked_at
from .read import Read

Member = TypeVar("Member")
ReadAndSite: TypeAlias = tuple[Read, Site]


@dataclass(frozen=True, eq=False)
class Collection(Generic[Member]):
    """The activations, or the moments, of each read and site; `at` returns those of one.

    Examples:
        >>> both = collect(model, traces, read=["mean", "before:1"])
        >>> both.at("before:1")
        Activations(...)
    """

    members: Mapping[ReadAndSite, Member]  # those that hold a span
    reads: tuple[Read, ...]  # in the order in which they were asked for
    sites: tuple[Site, ...]
    where: str = "this collection"  # for messages

    def at(self, read: Read | str | None = None, site: Site | str | None = None) -> Member:
        """Return the activations, or the moments, of one read at one site.

        Args:
            read: One of `reads`; None where there is only one.
            site: One of `sites`; None where there is only one.

        Returns:
            They.

        Raises:
            InputError: There is no such read or site, several and none is chosen, or no span has a token for the read.
        """
        place = choose_place(self.reads, self.sites, read, site, self.where)
        if place not in self.members:
            raise InputError(
                f"nothing to read in {self.where}: no labelled span has a token that the read {str(place[0])!r} takes"
            )
        return self.members[place]

    @looked_at(".reads, .sites, .at(read, site)")
    def __repr__(self) -> str:
        return (
            f"Collection(reads {', '.join(map(str, self.reads))}; sites {', '.join(map(str, self.sites))}: "
            f"{next(iter(self.members.values()), 'nothing')!r})"
        )


def choose_place(
    reads: Iterable[Read | str],
    sites: Iterable[Site | str],
    read: Read | str | None,
    site: Site | str | None,
    where: str,
) -> ReadAndSite:
    """Choose a read and a site among those that there are.

    Args:
        reads: The reads that there are.
        sites: The sites that there are.
        read: The read that is asked for; None: the only one.
        site: The site that is asked for; None: the only one.
        where: What holds them, for the message.

    Returns:
        Both.

    Raises:
        InputError: There is no such read or site, or several and none is asked for.
    """
    return (
        _choose(list(map(_read, reads)), read, _read, where, "read"),
        _choose(list(map(_site, sites)), site, _site, where, "site"),
    )


def _choose(
    available: list[Member], requested: Member | str | None, parse: Callable[[Any], Member], where: str, kind: str
) -> Member:
    names = ", ".join(map(str, available))
    if requested is None:
        if len(available) == 1:
            return available[0]
        raise InputError(f"{where} holds the {kind}s {names}: choose one ({kind}= where it is opened, --{kind})")
    chosen = parse(requested)
    if chosen in available:
        return chosen
    raise InputError(
        f"{where} does not hold the {kind} {str(chosen)!r}; it holds {names}. Choose one of these, or collect again."
        f"{did_you_mean(str(chosen), list(map(str, available)))}"
    )


def _read(read: Read | str) -> Read:
    return read if isinstance(read, Read) else Read.parse(read)


def _site(site: Site | str) -> Site:
    return site if isinstance(site, Site) else Site.parse(site)
