"""A text of ours must not have a client opt out by doing as it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain import opt_out
from control_center.domain.opt_out_invitation import invited

WRONG = [
    ("Your session is on Saturday. Reply CANCEL to cancel.", "CANCEL"),
    ("Reply YES to confirm or CANCEL to cancel your session", "CANCEL"),
    ("Reply C to confirm, CANCEL to cancel", "CANCEL"),
    ("Reply with 'cancel' if you can't come", "cancel"),
    ("text cancel to cancel", "cancel"),
    ("Just text us the word END if you wish to end the session early.", "END"),
    ("YES to confirm, CANCEL to cancel", "CANCEL"),
    ("C = confirm, QUIT = we take you off the waiting list", "QUIT"),
    ("Reply STOP to cancel your appointment", "STOP"),
    ("Reply stop if you cannot make the appointment", "stop"),
    ("Respond CANCEL.", "CANCEL"),
    ("Please respond YES, NO or CANCEL", "CANCEL"),
    ("Reply YES/CANCEL", "CANCEL"),
    ("To reschedule answer: CANCEL", "CANCEL"),
    ("Reply to this message with CANCEL and we call you", "CANCEL"),
    ("Reply “REMOVE” to be taken off the calendar", "REMOVE"),
    ("Responda CANCELAR para cancelar su cita", "CANCELAR"),
    ("Responde con la palabra cancelar si no puedes venir", "cancelar"),
    ("Envíe BAJA para cancelar la sesión", "BAJA"),
    ("Conteste SI para confirmar o CANCEL para cancelar", "CANCEL"),
    ("Répondez ANNULER pour annuler votre séance", "ANNULER"),
    ("Répondez par OUI ou par ARRET pour annuler le rendez-vous", "ARRET"),
    ("Envoyez STOP pour annuler votre rendez-vous", "STOP"),
    ("Responda PARAR para cancelar su cita", "PARAR"),
    ("Responde PARE si no puedes venir a la sesión", "PARE"),
    ("Can't make it? CANCEL = we cancel.", "CANCEL"),
    ("If you cannot come just say cancel", "cancel"),
    ("Message us CANCEL and we call you", "CANCEL"),
]
RIGHT = [
    "Reply YES to confirm, or call us.",
    "Reply STOP to opt out.",
    "Reply STOP to unsubscribe",
    "Text STOP to end texts, HELP for help.",
    "Reply HELP for help, STOP to cancel",
    "Reply STOP to end appointment reminders",
    "Reply STOP if you do not want session updates",
    "Reply QUIT to stop messages",
    "Reply END to opt out of these texts",
    "If you have to cancel, please call us.",
    "Reply C or call us to cancel your session",
    "Reply YES to confirm; to cancel call +13125550100",
    "Please do not reply CANCEL: call us instead",
    "Don't text cancel, call us",
    "Reply with the end date of your project",
    "You may cancel free of charge until Friday",
    "Answer our questions, then stop by at 3",
    "CANCEL FOR FREE UNTIL FRIDAY",
    "Text us. Cancel online whenever you like.",
    "Responda SI para confirmar",
    "Responda STOP para no recibir más mensajes",
    "Si desea cancelar, llámenos",
    "Répondez STOP pour ne plus recevoir de messages",
    "Répondez OUI pour confirmer; pour annuler, appelez-nous",
    "The session ends at 5. Reply if you have questions.",
    "Send your friends our way and quit worrying",
    "Text or call us to reschedule",
    "See you at 3. Stop by early to park.",
    "Thanks! STOP to opt out.",
    "As we say: end on a high note.",
]


@pytest.mark.parametrize(("text", "word"), WRONG)
def test_an_invitation_to_answer_what_opts_out_is_found(text: str, word: str) -> None:
    assert invited(text) == word


@pytest.mark.parametrize("text", RIGHT)
def test_to_say_how_texts_end_or_how_else_to_cancel_is_no_such_invitation(text: str) -> None:
    assert invited(text) is None


@given(
    word=st.sampled_from(sorted(opt_out.STOP)),
    verb=st.sampled_from(["Reply", "reply with", "Text", "Respond", "Responda", "Répondez par", "Send the word"]),
    before=st.sampled_from(["", "See you Saturday! ", "Hi Jo, your session is at 2. "]),
    quotes=st.sampled_from(["", '"', "'"]),
)
def test_no_word_that_ends_texting_can_be_asked_for_about_an_appointment(
    word: str, verb: str, before: str, quotes: str
) -> None:
    assert invited(f"{before}{verb} {quotes}{word.upper()}{quotes} to cancel your appointment") == word.upper()
    assert invited(f"{before}{verb} {quotes}{word.upper()}{quotes} to stop these messages") is None


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    found = invited(text)
    assert found is None or found in text
