"""What a studio says about when it texts, how often, and to which countries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from control_center.domain import number, quiet_hours, week
from control_center.domain.table import Table, shown
from control_center.domain.week import Week

CALM: Final = ("off", "move", "drop", "merge")
MOST_A_DAY: Final = 100


@dataclass(frozen=True, slots=True)
class TextHours:
    """`marketing` None are the usual hours, `transactional` None none at all: reminders go at any time.

    `marketing_per_day`: so many marketing texts reach one number on one of its days. `calm_day`: what becomes of
    marketing of a trigger on a day on which its client hears of something more important: it goes (`off`), on a
    later day (`move`), not at all (`drop`), or in the same text where that is marketing, too (`merge`), else later.
    """

    marketing: Week | None = None
    transactional: Week | None = None
    marketing_per_day: int = 1
    calm_day: str = "off"

    def keeps(self, purpose: str) -> bool:
        """Whether texts of triggers for this purpose keep to hours at all."""
        return purpose == "marketing" or self.transactional is not None

    def settings(self) -> dict[str, Any]:
        """What is stored; `parse` reads it back."""
        weeks = {"marketing": self.marketing, "transactional": self.transactional}
        said: dict[str, Any] = {
            "quiet_hours": {name: one.table() for name, one in weeks.items() if one is not None},
            "marketing_per_day": self.marketing_per_day if self.marketing_per_day != 1 else None,
            "calm_day": self.calm_day if self.calm_day != "off" else None,
        }
        return {key: value for key, value in said.items() if value}


USUAL: Final = TextHours()


def parse(top: Table) -> TextHours:
    """Read `quiet_hours`, `marketing_per_day` and `calm_day` of a studio. Raises Malformed naming the field."""
    table, usual = top.table("quiet_hours"), quiet_hours.presets()
    found = TextHours(
        marketing=week.read_either(table, "marketing", usual=usual.marketing),
        transactional=week.read_either(table, "transactional", usual=usual.transactional),
        marketing_per_day=top.whole("marketing_per_day", 1, MOST_A_DAY, 1),
        calm_day=top.choice("calm_day", CALM, "off"),
    )
    if table.values.get("marketing") is False:
        raise table.wrong("marketing", "False; marketing texts always keep to hours; leave it out for the usual ones")
    table.refuse_the_rest()
    return found


def countries(sms: Table) -> tuple[str, ...]:
    """Read `countries` of a studio's `sms`: those besides its own that it texts to. Raises Malformed."""
    said = sms.take("countries")
    if said is None:
        return ()
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise sms.wrong("countries", f'{shown(said)}; a list of ISO 3166 codes such as ["CA", "GB"] is needed')
    for one in said:
        if not number.is_country(one):
            raise sms.wrong("countries", f"{one!r} is no country with phone numbers; ISO 3166 says GB, not UK")
    return tuple(dict.fromkeys(said))
