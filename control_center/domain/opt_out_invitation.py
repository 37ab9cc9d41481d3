"""Words of ours that would have a client opt out by answering us: "reply CANCEL to cancel your session".

Whoever does as such a text says ends all texting, whether the provider or we read it. To say how to stop is right and
stays allowed: "reply STOP to opt out".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from control_center.domain import opt_out
from control_center.domain.reply_words import words

_VERBS: Final = (
    r"reply(?:ing)?|respond(?:ing)?|te?xt(?:ing)?|send(?:ing)?|answer(?:ing)?|type|typing|write|say(?:ing)?"
    r"|message us|messaging us|enter(?:ing)?|key in"
    r"|respond[ae]r?|responda[ns]|contest[ae]r?|env[ií]a(?:r|nos)?|env[ií]e(?:nos)?|escrib[ae]|escribir|mand[ae]r?|text[ee]e"
    r"|r[ée]pond(?:ez|s|re|ant)|envoy(?:ez|er)|envoie|tapez|taper|[ée]cri(?:vez|re|s)|textez|texter"
)
_BETWEEN: Final = (
    r"(?:\s+(?:back|us|to\s+(?:this|us|the)(?:\s+(?:text|message|number))?|with|the|word|keyword|just|simply|by|of"
    r"|con|la|palabra|a\s+este\s+(?:mensaje|texto|n[uú]mero)|solo"
    r"|par|avec|le|mot|[àa]\s+ce\s+(?:message|texto|sms|num[ée]ro)|simplement)\b)*\s*[:\-]?\s*"
)
_INVITES: Final = re.compile(rf"\b(?:{_VERBS})\b{_BETWEEN}", re.IGNORECASE)
_NOT: Final = re.compile(
    r"\b(?:do not|don'?t|never|not|no|nunca|ne|n'|jamais|without|please\s+don'?t)\s+(?:just\s+|simply\s+)?$",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"[.!?](?=\s|$)|\n")
_NEAR: Final = 300  # characters in which what belongs to an invitation stands, so that no text takes long to read

# One word, or a word of two: "opt out", "stop all".
_OPEN, _CLOSE = r"[\"'\u201c\u201d\u2018\u2019«*(]?", r"[\"'\u201c\u201d\u2018\u2019»*)]?"
_WORD = rf"(?P<open>{_OPEN})(?P<word>[^\W\d_]+(?:[- ](?:out|all))?)(?P<close>{_CLOSE})"
_OR = r"(?:or|and|o|u|y|ou|et)\s+"
_FIRST: Final = re.compile(_WORD)
_FURTHER: Final = re.compile(
    rf"(?:\b{_OR}|[,/;|]\s*(?:{_OR})?)(?:(?:with|con|par|the word|le mot|la palabra)\s+)?{_WORD}", re.IGNORECASE
)
_ALONE: Final = re.compile(rf"(?:^\s*|[,;:(/]\s*|\b{_OR}){_WORD}")

# What follows a word that somebody is to answer, and not a word of a sentence that goes on.
_ENDS: Final = re.compile(
    r"\s*(?:$|[,.;:!?)/=\-\u2013\u2014&|]|(?:to|if|for|or|and|in|at|any|anytime|when|within|before|by|now|back|please"
    r"|para|si|o|y|antes|cuando|por|pour|ou|et|avant|quand)\b)",
    re.IGNORECASE,
)
_MEANS: Final = re.compile(r"\s*(?:=|:|\b(?:to|if|for|para|si|pour)\b)")

# What it says the answer is for: texts, or what the client has booked.
_ENDS_TEXTS: Final = re.compile(
    r"\b(?:opt(?:ing)?[- ]?out|unsubscribe|te?xts?|te?xt messages|messages|msgs?|messaging|sms|notifications?|alerts?"
    r"|reminders?|updates|e?mails?|rappels?|recordatorios"
    r"|(?:our|this|the|mailing|contact) list"
    r"|mensajes?|textos?|notificaciones|de baja|d[ée]sabonner|d[ée]sinscrire|messages?|ne plus recevoir|no recibir)\b",
    re.IGNORECASE,
)
_ABOUT_A_DATE: Final = re.compile(
    r"\b(?:appointments?|appts?|sessions?|shoots?|bookings?|booked|reservations?|visits?|orders?|resched\w*|postpone\w*"
    r"|can'?t (?:come|make)|cannot (?:come|make)|not coming|decline|citas?|sesi[oó]n(?:es)?|reservas?|pedido"
    r"|rendez-?vous|rdv|s[ée]ances?|r[ée]servations?|commande)\b",
    re.IGNORECASE,
)
# Nobody takes one of these for the answer about an appointment unless the text says so.
_MEANS_TEXTS: Final = frozenset(
    {"stop", "stopall", "unsubscribe", "optout", "arret", "pare", "paren", "parar", "baja", "alto", "desabonner"}
    | {"arretez", "arreter", "desabonnement", "desinscription"}
)


def invited(text: str) -> str | None:
    """The word that a text asks to be answered with and that opts out whoever does; None where it asks for none."""
    for sentence in _SENTENCE.split(text):
        for word, after in _asked_for(sentence):
            if _is_wrong(word, after):
                return word
    return None


def _is_wrong(word: str, after: str) -> bool:
    spelled = "".join(words(word))
    if _ENDS_TEXTS.search(after):
        return False
    return spelled not in _MEANS_TEXTS or _ABOUT_A_DATE.search(after) is not None


def _asked_for(sentence: str) -> Iterator[tuple[str, str]]:
    """Each word of one sentence that ends texting and is to be answered, with what is said of it."""
    for invitation in _INVITES.finditer(sentence):
        if _NOT.search(sentence[max(invitation.start() - 40, 0) : invitation.start()]):
            continue
        first, near = _FIRST.match(sentence, invitation.end()), invitation.end() + _NEAR
        found = [*([first] if first else []), *_FURTHER.finditer(sentence, invitation.end(), near)]
        yield from ((one["word"], _said_of(sentence, one)) for one in found if _is_answer(sentence, one, one is first))
    for one in _ALONE.finditer(sentence):
        if (
            _stands_out(one)
            and _MEANS.match(sentence, one.end())
            and not sentence.isupper()
            and _ends_texting(one["word"])
        ):
            yield one["word"], _said_of(sentence, one)


def _is_answer(sentence: str, found: re.Match[str], first: bool) -> bool:  # noqa: FBT001 - read with its caller
    if not _ends_texting(found["word"]):
        return False
    if _stands_out(found):
        return True
    return (_ENDS if first else _MEANS).match(sentence, found.end()) is not None


def _stands_out(found: re.Match[str]) -> bool:
    """Whether a word is written as what somebody is to type: in capitals or in quotes."""
    return bool(found["open"] and found["close"]) or (found["word"].isupper() and len(found["word"]) > 1)


def _ends_texting(word: str) -> bool:
    spelled = words(word)
    return opt_out.opts_out(spelled) is not None or bool(opt_out.may_opt_out(spelled))


def _said_of(sentence: str, found: re.Match[str]) -> str:
    """What follows a word up to the next one that is to be answered."""
    rest = sentence[found.end() : found.end() + _NEAR]
    further = next((one.start() for one in _FURTHER.finditer(rest) if _stands_out(one)), len(rest))
    return rest[:further]
