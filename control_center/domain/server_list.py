"""An address of several servers that stand in for each other, taken apart."""

from __future__ import annotations

import re
from typing import Final

# Not by urlsplit: since it looks into brackets it refuses those of a second host.
_ADDRESS: Final = re.compile(r"([^:/?#]+://(?:[^/?#]*@)?)([^/?#]*)(.*)", re.DOTALL)


def each_server(url: str) -> list[str]:
    """The address of each alone, in their order: amqp://user:password@one:5672,two:5672/ is about two servers."""
    found = _ADDRESS.fullmatch(url)
    if found is None:
        return [url]
    return [f"{found[1]}{host}{found[3]}" for host in found[2].split(",") if host] or [url]
