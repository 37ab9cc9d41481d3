"""The question of how likely a client is to recommend us, as it stands in an email."""

from __future__ import annotations

from typing import Final

SCORES: Final = range(11)

_CELL: Final = (
    '<td align="center" style="padding:2px"><a href="{url}/{score}" style="display:block;padding:8px 4px;'
    "min-width:24px;border:1px solid #888;border-radius:4px;color:#222;text-decoration:none;"
    'font-family:sans-serif">{score}</a></td>'
)


class NpsBar(str):
    """The address that asks; in HTML a row of eleven links, each of which says one answer."""

    __slots__ = ()

    def __html__(self) -> str:
        cells = "".join(_CELL.format(url=str(self), score=score) for score in SCORES)
        return f'<table role="presentation" cellspacing="0" cellpadding="0"><tr>{cells}</tr></table>'
