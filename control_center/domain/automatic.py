"""The texts that we answer STOP, START and HELP with, where the provider does not: short, and without advertising."""

from __future__ import annotations

from control_center.domain.studio import Studio


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
