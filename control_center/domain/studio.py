"""A studio: who we send for, from which number and address, in which zone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from control_center.domain import number, pacing, text_hours, text_plan, zones
from control_center.domain.pacing import UNLIMITED, Limits
from control_center.domain.table import Table, shown
from control_center.domain.text_hours import USUAL, TextHours
from control_center.domain.text_plan import NO_PLAN, TextPlan


@dataclass(frozen=True, slots=True)
class Studio:
    """One studio, as contract part 5 gives it. `accounts` are names of provider accounts, by channel."""

    studio: str
    name: str
    timezone: str
    country: str
    sms_account: str = "default"
    numbers: tuple[str, ...] = ()
    failover_numbers: tuple[str, ...] = ()  # at the account that takes over: nothing else leaves from them
    sms_limits: Limits = UNLIMITED
    sms_identify: bool = False  # begins texts with the name, ends the first to a number with how to stop
    countries: tuple[str, ...] = ()  # besides its own, those that it texts to
    email_account: str = "default"
    email_sender: str = ""
    reply_to: str | None = None
    postal_address: str = ""
    phone: str = ""
    address: str = ""
    web: str = ""
    plan: TextPlan = NO_PLAN
    hours: TextHours = USUAL
    blast_ceiling: int = 500
    second_person_above: int | None = None  # people: a bulk to more is let go by somebody else than who made it
    create_unknown_clients: bool = False
    enabled: bool = True
    revision: int = 0
    catalog_revision: int = 0

    @property
    def sms_sender(self) -> str:
        """The number that texts go out from."""
        return self.numbers[0] if self.numbers else ""

    @property
    def every_number(self) -> tuple[str, ...]:
        """Those that texts to it come in on: the ones it texts from first."""
        return (*self.numbers, *self.failover_numbers)

    def fields(self) -> dict[str, Any]:
        """What templates see as `studio`: the resource itself, so that what it does not say is absent there, too."""
        head = {"id": self.studio, "name": self.name, "timezone": self.timezone, "country": self.country}
        return {**head, **self.settings()}

    def settings(self) -> dict[str, Any]:
        """What is stored beside the columns of their own; `parse` reads it back."""
        sms: dict[str, Any] = {
            "account": self.sms_account,
            "numbers": list(self.numbers),
            "failover_numbers": list(self.failover_numbers),
            "limits": self.sms_limits.said(),
        }
        sms["identify"] = self.sms_identify
        sms["countries"] = list(self.countries)
        email = {"account": self.email_account, "from": self.email_sender, "reply_to": self.reply_to}
        email["postal_address"] = self.postal_address
        plain = {"phone": self.phone, "address": self.address, "web": self.web}
        return {
            "sms": _said(sms),
            "email": _said(email),
            **_said(plain),
            **_said({"plan": self.plan.settings()}),
            **self.hours.settings(),
            "blast_ceiling": self.blast_ceiling,
            **({} if self.second_person_above is None else {"second_person_above": self.second_person_above}),
            "create_unknown_clients": self.create_unknown_clients,
        }


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")


def _is_number(number: Any) -> bool:
    return isinstance(number, str) and 1 <= len(number.strip()) <= 40 and number.isprintable()


def parse(values: Mapping[str, Any], *, where: str = "studio", revision: int = 0) -> Studio:
    """Understand a studio resource. Raises Malformed naming field, value and what is allowed."""
    top = Table(values, where, "")
    studio = top.text("id")
    if not _ID.fullmatch(studio):
        raise top.wrong("id", f"{studio!r}; allowed: lower-case letters, digits, - and _, at most 50")
    timezone = top.text("timezone")
    zones.zone(timezone, f"{where}, timezone")
    country = top.text("country", default="US")
    if not number.is_country(country):
        raise top.wrong("country", f"{country!r}; allowed: two capital letters of ISO 3166, such as US, or GB, not UK")
    sms, email = top.table("sms"), top.table("email")
    found = Studio(
        studio=studio,
        name=top.text("name"),
        timezone=timezone,
        country=country,
        sms_account=sms.text("account", default="default"),
        numbers=_numbers(sms, country, "numbers"),
        failover_numbers=_numbers(sms, country, "failover_numbers"),
        sms_limits=pacing.parse(sms.table("limits")),
        sms_identify=sms.boolean("identify", default=False),
        countries=text_hours.countries(sms),
        email_account=email.text("account", default="default"),
        email_sender=email.optional("from") or "",
        reply_to=email.optional("reply_to"),
        postal_address=email.text("postal_address", default=""),
        phone=top.text("phone", default=""),
        address=top.text("address", default=""),
        web=top.text("web", default=""),
        plan=text_plan.parse(top.table("plan")),
        hours=text_hours.parse(top),
        blast_ceiling=top.whole("blast_ceiling", 0, 1_000_000, 500),
        second_person_above=_above(top),
        create_unknown_clients=top.boolean("create_unknown_clients", default=False),
        enabled=top.boolean("enabled", default=True),
        revision=revision,
    )
    both = sorted(set(found.numbers) & set(found.failover_numbers))
    if both:
        raise sms.wrong(
            "failover_numbers", f"{both[0]!r} stands among the numbers, too; texts would leave from it anyway"
        )
    if found.sms_limits.money_per_day is not None and not found.plan.price_per_segment:
        raise sms.wrong(
            "limits.money_per_day", "needs plan.price_per_segment: without it nobody knows what a text costs"
        )
    email.refuse_the_rest()
    sms.refuse_the_rest()
    top.refuse_the_rest(later={"work_week"})
    return found


def _above(top: Table) -> int | None:
    """How many people one person may write to alone; None where nothing is said of it."""
    if top.take("second_person_above") is None:
        return None
    return top.whole("second_person_above", 0, 1_000_000)


def _numbers(sms: Table, country: str, name: str) -> tuple[str, ...]:
    """Numbers that texts go out from, each once; short codes and names are taken as they are."""
    typed = sms.take(name)
    if typed is None:
        return ()
    if not isinstance(typed, list) or not all(map(_is_number, typed)):
        raise sms.wrong(name, f'{shown(typed)}; a list such as ["+13125550100"] is needed')
    return spelled(typed, country)


def spelled(numbers: Iterable[str], country: str) -> tuple[str, ...]:
    """Numbers of ours as messages spell them, each once."""
    found = ((one, number.phone(one, country, recipient=False)) for one in numbers)
    return tuple(dict.fromkeys(known.e164 if isinstance(known, number.Phone) else one for one, known in found))
