"""The states and provinces that come along, held against the numbering plan that another library ships."""

from __future__ import annotations

from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType, geocoder
from phonenumbers.timezone import time_zones_for_number

from control_center.domain import regions, zones

WINTER, SUMMER = 1_800_000_000, 1_815_000_000
ORDINARY: Final = {PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


def test_every_area_code_leads_to_the_state_and_to_a_clock_of_it_that_the_numbering_plan_has_for_it() -> None:
    atlas = regions.shipped()
    names = {one.name: one.code for one in atlas.regions} | {
        f"{one.country} {one.code[3:]}": one.code for one in atlas.regions
    }
    listed = {area_code for one in atlas.regions for area_code in one.area_codes}
    # Of two the plan's table has a neighbour's clock: of Saskatchewan's 474 Manitoba's, of Labrador's 879 Quebec's.
    for area_code in range(200, 1000):
        for exchange in (356, 733):
            parsed = phonenumbers.PhoneNumber(country_code=1, national_number=int(f"{area_code}{exchange}0188"))
            country = phonenumbers.region_code_for_number(parsed)
            if country not in regions.COUNTRIES or phonenumbers.number_type(parsed) not in ORDINARY:
                continue
            assert str(area_code) in listed
            found = [one for one in atlas.of_number(f"+1{area_code}{exchange}0188") if one.country == country]
            said = geocoder.description_for_number(parsed, "en")
            state = names.get(said) or names.get(f"{country} {said.rpartition(', ')[2]}")
            assert state is None or state in {one.code for one in found}
            clocks = {(zones.zone(z).offset(WINTER), zones.zone(z).offset(SUMMER)) for one in found for z in one.zones}
            theirs = {
                (zones.zone(z).offset(WINTER), zones.zone(z).offset(SUMMER)) for z in time_zones_for_number(parsed)
            }
            assert theirs <= clocks or area_code in (474, 879)
