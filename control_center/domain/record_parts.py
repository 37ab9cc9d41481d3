"""What records are made of besides their own fields: people and how they are reached, dates and marks of a kind."""

from __future__ import annotations

import msgspec


class Phone(msgspec.Struct, frozen=True):
    number: str
    label: str = ""
    sms: bool = False


class Address(msgspec.Struct, frozen=True):
    address: str
    label: str = ""


class AllowMarketing(msgspec.Struct, frozen=True):
    """The boxes that a client ticked. What the CRM does not say is not ticked."""

    sms: bool | None = False
    email: bool | None = False
    call: bool | None = False
    mail: bool | None = False


class Person(msgspec.Struct, frozen=True):
    """Somebody at hand of a record: a family member, a participant, or who pays."""

    relationship: str = ""
    first_name: str | None = None
    last_name: str | None = None
    phones: tuple[Phone, ...] | None = ()
    emails: tuple[Address, ...] | None = ()
    birthday: str | None = None
    allow_marketing: AllowMarketing | None = None


class Payer(Person, frozen=True, rename={"payer_id": "id"}):
    """Who pays an invoice, where that is not its client: a client, too, and known by an id."""

    payer_id: str | None = None


class Staff(msgspec.Struct, frozen=True):
    role: str
    name: str = ""
    primary: bool = False
    phone: str | None = None
    email: str | None = None


class Assigned(msgspec.Struct, frozen=True):
    """The user or department that a task or an order was given to."""

    user: str | None = None
    department: str | None = None
    phone: str | None = None
    email: str | None = None


class Form(msgspec.Struct, frozen=True):
    name: str | None = None
    link: str | None = None


class Nps(msgspec.Struct, frozen=True, rename={"response_id": "id"}):
    """How likely a client is to recommend, 0 to 10, and what they added."""

    response_id: str | None = None
    score: int | None = None
    comment: str | None = None
    received_at: str | None = None


class Instalment(msgspec.Struct, frozen=True, rename={"instalment_id": "id"}):
    instalment_id: str
    due: str | None = None
    paid: bool | None = False


class Reward(msgspec.Struct, frozen=True):
    balance: str | None = None  # a decimal number, as the CRM wrote it


class Flags(msgspec.Struct, frozen=True):
    on_hold: bool | None = False
    confirmed: bool | None = False
    canceled: bool | None = False
