"""Whether a text says yes to a question: certainly, perhaps, or no."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from control_center.domain.reply_score import score
from control_center.domain.reply_words import Said


class Answer(Enum):
    """What a text may be to a question that asks for a yes."""

    YES = "yes"
    PERHAPS = "perhaps yes"
    PERHAPS_NO = "perhaps no"
    EITHER = "perhaps yes, perhaps no"
    NEITHER = "neither"


_YES: Final = re.compile(r"y+e+s+|y+e+a+h*|y+e+p+|y+u+p+|s+i+|o+u+i+")
_GREETING: Final = re.compile(
    r"(?:(?:hi|hello|hey|hola|bonjour|good (?:morning|afternoon|evening)|buen[oa]s dias"
    r"|buenas(?: tardes| noches)?|oh|omg)(?: (?:there|all|team))? )?(?P<rest>.*)"
)
# A one-letter Y is "and" in Spanish: it stands alone, or with thanks.
_LETTER: Final = re.compile(r"y(?: (?:please|pls|plz|thanks|thank you|thx|ty))*")

# All that may come along with a yes and leaves it one. A word that is not here may change it, and a person reads it.
_ALONG: Final = """
    a about absolutely ahead all alright always am amazing and appointment appreciate are as at awesome baby be
    been beyond booking both boys bring bringing can certainly checking children coming confirm confirmed
    confirming cool correct course dad daughter daughters def deff definitely do does dog dogs everybody
    everyone excellent excited exciting family finally fine for forward girls glad go going good got grandma
    grandpa great guys happy have he here hubby husband i ill im indeed is it its ive just kiddo kiddos kids
    little lol looking love lovely ma maam mam many me mom much my nice of ok okay our parents perfect
    photoshoot please pls plz pumped pup puppy ready really reminder reminding reservation see seeing session
    set she shoot sir sister so son sons sounds still super sure thank thanks thankyou that thats the then there
    they this thrilled thx time to totally ty u us very we well whole wife will with wonderful works xo xoxo ya
    yall yay you your youre

    ahi alla alli asistire asistiremos bien cita claro con confirmada confirmado confirmamos confirmo de dia
    dios encantada encantado estare estaremos favor gracias gusto hasta iremos la listos lo mil muchas
    muchisimas nos perfecto por que senor senora supuesto todo vamos vemos voy

    ai avec beaucoup bon cest confirme confirmons daccord est merci nous parfait plaisir pour rendez serai
    serons seront sur svp vient vous
"""
_HARMLESS: Final = frozenset(_ALONG.split())
_DAY = (
    r"(?:today|tonight|tomorrow|this weekend|\w+day|hoy|manana|lunes|martes|miercoles|jueves|viernes|sabado|domingo"
    r"|demain|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche)(?: (?:morning|afternoon|evening|night))?"
)
# Turns that are harmless as a whole. A day is one where it is looked forward to; "yes Sunday" may be another day.
_SETTLED: Final = re.compile(
    rf"\b(?:(?:cant|cannot) wait(?: for (?:it|{_DAY}))?|wont be late|wouldnt miss it|no problem|for the world"
    r"|were (?:coming|going|all|so|ready|set|good|still|in|there|excited|looking|on|confirmed|happy)"
    r"|(?:(?:see|seeing) (?:you|u|ya|yall)(?: all| guys| there)?|there|coming|forward to|excited for|wait for|ready for"
    rf"|nos vemos|estaremos|estare|a|hasta|pour)(?: on| this| el)? {_DAY})\b"
)
# A question, also where nobody typed its mark.
_ASKS: Final = re.compile(r"\b(?:can|will|are|do|does|is) (?:i|we|you|u|it|he|she|they|there)\b")
_LONGEST_YES = 16  # words; who says more has more to say than yes

_ASSENT: Final = re.compile(
    r"(?:ok|okay|okey|okie|k|kk|sure|c|confirm|confirmed|confirming|confirmo|confirmada|confirmado|confirme|absolutely"
    r"|definitely|certainly|perfect|correct|affirmative|totally|claro|vale|dale|perfecto|daccord|parfait|absolument"
    r"|ya|yas|ye|yah|yass|yesplease|yse|yws|yed|yrs|ues|tes|sip|ouais|yess*ir|yeppers|for sure|of course"
    r"|you bet|sounds good|bien sur|por supuesto|will do|10 4)\b.*"
    r"|.*\b(?:be there|see you|see ya|see u|(?:i|we) confirm|looking forward|cant wait|nos vemos|ahi estaremos"
    r"|alli estaremos|ahi estare|on (?:y )?sera|nous serons|still coming|we are coming|were coming)\b.*"
)
_DISSENT: Final = re.compile(
    r"(?:no|nope|nah|nop|n|non|negative|not|unfortunately|unable)\b.*"
    r"|.*\b(?:cant|cannot|can not|wont|not going to|not gonna|unable to|not able to|wont be able to)"
    r" (?:be able to )?(?:make|come|be there|do (?:it|that|this|saturday|sunday|tomorrow)|attend)\b.*"
    r"|.*\b(?:not coming|reschedul\w*|postpone|no puedo|no podemos|no vamos|no podre|no podremos|reagendar"
    r"|cambiar la cita"
    r"|ne (?:peux|pouvons|peut|pourrons|pourrai|viendrons|viendrai)|reporter|deplacer|have to move|need to move"
    r"|need to change|change (?:the|our|my) (?:time|date|day|appointment|session))\b.*"
)


def answer(said: Said) -> Answer:
    """What a text is to a question that asks for a yes.

    It is one where its first word says yes and nothing in it may take that back: every word is known, it asks nothing
    and names no number and no day of its own, which may be another time than the one asked about.
    """
    text = " ".join(said.words)
    if _certain(said, text):
        return Answer.YES
    yes = said.glad or any(_YES.fullmatch(word) for word in said.words if word not in {"si", "yea"})
    yes = yes or (bool(said.words) and _begins(said))
    yes = yes or (not said.asks and _ASSENT.fullmatch(text) is not None)
    no = _DISSENT.fullmatch(text) is not None or (not said.words and "👎" in said.body)
    if yes:
        return Answer.EITHER if no else Answer.PERHAPS
    return Answer.PERHAPS_NO if no else Answer.NEITHER


def _certain(said: Said, text: str) -> bool:
    found = _GREETING.fullmatch(text)
    rest = found["rest"] if found else text
    if said.asks or not rest or _ASKS.search(rest):
        return False
    if _LETTER.fullmatch(rest):
        return True
    first, *others = _SETTLED.sub("ok", _SETTLED.sub("ok there", rest)).split()
    if _YES.fullmatch(first) is None or len(others) >= _LONGEST_YES or score(said.body) is not None:
        return False
    return all(word in _HARMLESS or _YES.fullmatch(word) for word in others)


def _begins(said: Said) -> bool:
    return said.words[0] == "y" or _YES.fullmatch(said.words[0]) is not None
