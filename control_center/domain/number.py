"""Phone numbers and email addresses: one spelling for each, or the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

_LONGEST = 320  # characters of anything typed that is worth a look
_CACHED = 16_384  # numbers and addresses kept; a studio writes to the same people again and again


@dataclass(frozen=True, slots=True)
class Unusable:
    """No number or address can be made of what was typed; `reason` is for the person who can mend it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number: `e164` such as +13125550188, and what was typed.

    `valid` is False where the numbering plan knows no such range although the length is right: worth a
    warning, not a refusal, for plans change faster than our copy. `barred` says why no text may go there, `region`
    which country it is of (two letters), None where the numbering plan does not say.
    """

    e164: str
    typed: str
    valid: bool
    barred: str | None = None
    region: str | None = None


_BARRED = {
    PhoneNumberType.TOLL_FREE: "a toll-free number",
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.PERSONAL_NUMBER: "a personal number that forwards elsewhere",
    PhoneNumberType.UAN: "a company's service number",
    PhoneNumberType.VOICEMAIL: "a voicemail number",
}

_IMPOSSIBLE = {
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "the area code is missing",
    ValidationResult.INVALID_COUNTRY_CODE: "there is no such country code",
    ValidationResult.TOO_SHORT: "too few digits",
    ValidationResult.TOO_LONG: "too many digits",
    ValidationResult.INVALID_LENGTH: "the number of digits fits no number of that country",
}

_UNREADABLE = {
    NumberParseException.INVALID_COUNTRY_CODE: "no country code: write it with + and the country code",
    NumberParseException.TOO_SHORT_AFTER_IDD: "too few digits",
    NumberParseException.TOO_SHORT_NSN: "too few digits",
    NumberParseException.TOO_LONG: "too many digits",
}

# How nearly all North American numbers are written. Then parsing would only find again what stands here.
_NORTH_AMERICA = frozenset({"US", "CA"})
_NANP = re.compile(r"(\+?1)?[ .-]?\(?([2-9][0-9]{2})\)?[ .-]?([0-9]{3})[ .-]?([0-9]{4})", re.ASCII)

_MEXICO, _TEN_DIGITS = 52, 10**10

_LETTERS = re.compile(r"[^\W\d_]")
_EXTENSION = re.compile(r"(?:;ext=|ext\.?|extension|x|#)[ :.]*\d{1,6}#?$", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def phone(typed: str, country: str, *, recipient: bool = True) -> Phone | Unusable:
    """Spell a phone number in E.164, as typed in `country` (two letters) unless it starts with +.

    Never guesses. A number that is merely possible is taken and marked as not valid; an extension is dropped.
    With `recipient`, a number that no text should go to is refused; without, it comes with `barred`.
    """
    if len(typed) > _LONGEST:
        return Unusable("longer than any phone number")
    found = _phone(typed, country)
    if recipient and isinstance(found, Phone) and found.barred:
        return Unusable(f"{found.e164} is {found.barred}; texts are not sent there")
    return found


@lru_cache(maxsize=_CACHED)
def _phone(typed: str, country: str) -> Phone | Unusable:
    number = _north_american(typed, country) or _parse(typed, country)
    if isinstance(number, Unusable):
        return number
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != ValidationResult.IS_POSSIBLE:
        return Unusable(_IMPOSSIBLE.get(possible, "no phone number"))
    kind = phonenumbers.number_type(number)
    return Phone(
        e164=phonenumbers.format_number(number, PhoneNumberFormat.E164),
        typed=typed,
        valid=kind != PhoneNumberType.UNKNOWN,
        barred=_BARRED.get(kind),
        region=phonenumbers.region_code_for_number(number),
    )


def region_of(e164: str, country: str = "ZZ") -> str | None:
    """The country (two letters) of a number that is spelled already; None where the numbering plan does not say.

    Whoever has asked whether it is `foreign` to a country spares a look by naming it again.
    """
    found = _phone(e164, country)
    return found.region if isinstance(found, Phone) else None


def is_country(code: str) -> bool:
    """Whether these are the two capital letters of a country that has phone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def foreign(e164: str, country: str, others: Collection[str] = ()) -> str | None:
    """Why a studio in `country` that texts to the `others` besides does not text to this number; None where it does.

    A number whose country cannot be told, but whose country code is the studio's own, is taken for one of its own.
    """
    found = _phone(e164, country)
    if not isinstance(found, Phone) or found.region == country or found.region in others:
        return None
    code = phonenumbers.country_code_for_region(country)
    if found.region is None and e164.startswith(f"+{code}"):
        return None
    named = found.region or "a country that the numbering plan does not know"
    return f"country: {e164} is of {named}, which is not switched on in sms.countries"


def _north_american(typed: str, country: str) -> PhoneNumber | None:
    match = _NANP.fullmatch(typed)
    if match is None or (match[1] != "+1" and country not in _NORTH_AMERICA):
        return None
    return PhoneNumber(country_code=1, national_number=int(match[2] + match[3] + match[4]))


def _parse(typed: str, country: str) -> PhoneNumber | Unusable:
    if _CONTROL.search(typed):
        return Unusable("a control character in the number")
    bare = _EXTENSION.sub("", typed.strip().removeprefix("tel:"))
    # The library would read letters as keys of a phone, or pass over them: "312 555-0 Ada" is not a number.
    if _LETTERS.search(bare.partition(";phone-context")[0]):
        return Unusable("letters in the number")
    try:
        number = phonenumbers.parse(typed, country)
    except NumberParseException as error:
        return Unusable(_UNREADABLE.get(error.error_type, "no phone number"))
    if number.extension and len(number.extension) > len("123456"):
        return Unusable("more than one number")
    return _of_today(number)


def _of_today(number: PhoneNumber) -> PhoneNumber:
    """Mexico's mobile numbers had a 1 behind the country code until 2019. Address books and carriers still write it,
    and it is the same telephone: a STOP from one spelling is a STOP of the other.
    """
    national = number.national_number or 0
    if number.country_code == _MEXICO and national // _TEN_DIGITS == 1:
        number.national_number = national % _TEN_DIGITS
    return number


# A plain address in small letters, of labels without doubled hyphens: there is nothing to normalise in it.
_PLAIN_EMAIL = re.compile(
    r"[a-z0-9]+(?:[._+-][a-z0-9]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?!arpa|invalid|local|onion)[a-z]{2,20}",
    re.ASCII,
)
_PLAIN_LENGTH = 64  # within every limit for the part before the @, a label and the whole


def email(typed: str) -> str | Unusable:
    """Spell an email address as it goes on the wire: domain in small letters and ASCII, no name, no quotes.

    Only its form is checked; nothing is looked up. Names reserved for examples and tests are taken.
    """
    return _email(typed) if len(typed) <= _LONGEST else Unusable("longer than any email address")


@lru_cache(maxsize=_CACHED)
def _email(typed: str) -> str | Unusable:
    address = typed.strip(" ")
    if len(address) <= _PLAIN_LENGTH and _PLAIN_EMAIL.fullmatch(address):
        return address
    if _CONTROL.search(address):
        return Unusable("a control character in the address")
    try:
        found = validate_email(
            address, allow_smtputf8=False, check_deliverability=False, test_environment=True, strict=True
        )
    except EmailNotValidError as error:
        return Unusable(str(error))
    return found.ascii_email or found.normalized


def mask_phone(number: str) -> str:
    """Write a number for a log: +13125550188 as +1…88."""
    digits = number.removeprefix("+")
    if not (number.startswith("+") and digits.isascii() and digits.isdigit()):
        return "…"
    for length in (1, 2, 3):
        if int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return f"+{digits[:length]}…{digits[-2:]}" if len(digits) > length + 4 else "…"
    return f"…{digits[-2:]}"


def mask_email(address: str) -> str:
    """Write an address for a log: jo@mail.example as …@mail.example."""
    _, at, domain = address.rpartition("@")
    return f"…{at}{domain}" if at else "…"
