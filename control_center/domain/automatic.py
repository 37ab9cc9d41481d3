"""The texts that we answer STOP, START and HELP with, where the provider does not: short, and without advertising.

Two machines that answer each other never end, so that we do: who texts as often as no person does is left to people.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from control_center.domain.studio import Studio

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
AN_HOUR: Final = 10  # texts of one number that are answered by themselves
A_DAY: Final = 30


def tireless(within_hour: int, within_day: int) -> str | None:
    """Why a number that has texted so often before is not answered by itself any more; None where it is."""
    if within_hour >= AN_HOUR:
        return f"robot: {within_hour} texts of this number within an hour; nothing answers it by itself"
    if within_day >= A_DAY:
        return f"robot: {within_day} texts of this number within a day; nothing answers it by itself"
    return None


def stopped(studio: Studio) -> str:
    """The one confirmation of a STOP."""
    return f"{studio.name}: you will get no more texts from us. Reply START if you change your mind."


def welcome_back(studio: Studio) -> str:
    """The answer to START."""
    return f"{studio.name}: you will get texts from us again. Reply STOP to end them, HELP for help."


def help_text(studio: Studio) -> str:
    """The answer to HELP: who we are, how to reach us, how to stop."""
    ways = " or ".join(way for way in (studio.phone, studio.email_sender) if way)
    reach = f" Reach us at {ways}." if ways else ""
    return f"{studio.name}: texts about your appointments and orders.{reach} Reply STOP to end them."
