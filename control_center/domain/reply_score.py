"""Scores from 0 to 10 in the words of clients: read where nothing else can be meant, and pointed out where it can."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_WORDS: Final = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "cero": 0,
    "uno": 1,
    "dos": 2,
    "tres": 3,
    "cuatro": 4,
    "cinco": 5,
    "seis": 6,
    "siete": 7,
    "ocho": 8,
    "nueve": 9,
    "diez": 10,
    "zéro": 0,
    "deux": 2,
    "trois": 3,
    "quatre": 4,
    "cinq": 5,
    "sept": 7,
    "huit": 8,
    "neuf": 9,
    "dix": 10,
}
# "One of us", "no one", "this one": it counts something only where it is all there is.
_VAGUE: Final = frozenset({"one", "uno"})

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre"
    r"|diciembre|janvier|f[eé]vrier|mars|avril|mai|juin|juillet|ao[uû]t|septembre|octobre|novembre|d[eé]cembre)"
)
_UNIT = (
    r"am|pm|a\.m\.?|p\.m\.?|o'?clock|hrs?|h|mins?|minutes?|hours?|secs?|seconds?|days?|weeks?|months?|years?|yrs?"
    r"|yo|y/o|mo|lbs?|ft|feet|miles?|mi|km|bucks|dollars?|usd|euros?|horas?|minutos?|d[ií]as?|a[nñ]os?|heures?|jours?"
)
# Numbers that are no scores, whatever is asked: what is left when these are gone may be one.
_NO_SCORE: Final = re.compile(
    r"\+?(?:\d[ ().\-]*){6,}\d|\b\d{1,3}(?:,\d{3})+\b"  # a phone number, an account, thousands
    r"|[$€£#]\s?\d+(?:[.,]\d+)*|\d+(?:[.,]\d+)*\s?[$€£%°]"
    r"|\b\d{1,2}(?:\s?[:h]\s?|\.)\d{2}\b(?:\s?(?:am|pm)\b)?"
    r"|\b\d{1,4}[/.\-]\d{1,2}[/.\-]\d{1,4}\b"
    rf"|\b\d+\s?(?:{_UNIT})(?![\w'])"
    rf"|\b(?:{_MONTH})\.?\s?\d{{1,2}}\b|\b\d{{1,2}}\s(?:de\s)?(?:{_MONTH})\b"
    r"|\b\d+(?:st|nd|rd|th|er|e|º|ª)\b|\b\d+\s?x\s?\d+\b|\b(?:[^\W\d]+\d|\d+(?!ish\b)[^\W\d_])\w*"
    r"|\b(?!\d{1,2}/(?:5|10)\b)\d{1,2}/\d{1,4}\b",
    re.IGNORECASE,
)
_MASK = "§"

_NUMERAL = rf"(?:\d+(?:[.,\u2044]\d+)?|{'|'.join(sorted(_WORDS, key=len, reverse=True))})"
_ANY: Final = re.compile(rf"(?<![\w§])-?{_NUMERAL}(?!(?!ish\b)\w)", re.IGNORECASE)
_OF_TEN = r"(?:\s*(?:/|out\s+of|outta|of|sobre|de|sur)\s*(?:a\s+)?(?:10|ten|diez|dix)\b)?"
_POINTS = r"(?:\s*(?:points?|puntos?|stars)\b)?"

_LEADS = (
    r"(?:(?:hi|hello|hey|hola|bonjour|oh|um+|uh+|hmm+|well|ok|okay|honestly|definitely|def|absolutely|totally|easily|easy"
    r"|a|an|un|solid|strong|perfect|big|full|for sure|of course|always|it'?s|c'?est|it is|that'?s|that is|score|rating"
    r"|answer|(?:my|our) (?:score|rating|answer) (?:is|would be)|i'?d say|i would say|i say|we'?d say"
    r"|(?:i|we)(?:'?d| would|'?ll)? (?:give|rate)(?: (?:you|it|u|y'?all|you guys|this|them|the studio))?"
    r"|(?:yo )?dir[ií]a|(?:yo )?(?:le|les|te) doy|doy|je dirais|je (?:vous |te )?(?:donne|mets)|une note de)\b"
    r"[\s:,.!\-]*)*"
)
_FIRST: Final = re.compile(
    rf"[^\w§@\-\u2212]*{_LEADS}(?P<said>{_NUMERAL})(?![\w§]|[.,\u2044]\d){_OF_TEN}{_POINTS}(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_SENTENCE: Final = re.compile(r"(?:[^.!?;\n\U0001f000-\U0001faff\u2600-\u27bf]|\.(?=\d))+")
# What follows a low score at once, where it is one: "2 cousins" and "1 other thing" are more often something else.
_LAMENT: Final = re.compile(
    r" *(?:because|but|the|it|i|we|you|they|bad|terrible|awful|horrible|worst|poor|rude|very|never|no|not|disappoint\w*"
    r"|sorry|sadly|too|so|really|only|just|thanks?|pero|porque|muy|mal|muchas|gracias|mais|parce|car|merci|tr[eè]s)\b"
    r"|(?! *\w)",
    re.IGNORECASE,
)
_LOW = 6

# Out of five, not out of ten.
_STARS: Final = re.compile(r"\b(?:stars?|estrellas?|[eé]toiles?)\b|[⭐★🌟]", re.IGNORECASE)

# What makes of the number before it a count, a time or a choice.
_COUNTS: Final = re.compile(
    r" *(?:(?:of|is|am|pm|in|on|at|or|to|til|until|till|would|will|could|should|can|if|ou|o|with|more|less|please|pls"
    r"|(?:and|y|et) (?:a )?(?:half|media|demi)|por|people|kids?|children|persons?|adults?|family|photo|print|pic|outfit"
    r"|location|cop(?:y|ies)|dozen|hundred|thousand|half|sharp|tomorrow|tonight|noon|mon|tue|wed|thu|fri|sat|sun|\w+day"
    r"|total|tops|max|each|per|instead|better|earlier|later|early|ok|okay|fine|also|now|then|after|before|not|moment|sec|question|thing|time|min"
    r"|(?!my|our|the)\w+ (?:of us|kids?|people|works?))\b"
    r"|(?!(?:thanks|always|as|plus|this|was|gracias|vous|nous|tr[eè]s|mais|muchas|muchisimas|los|las|les|excelentes)\b)"
    r"\w+s\b)",
    re.IGNORECASE,
)
_WHEN: Final = re.compile(
    r"\b(?:tomorrow|tonight|noon|midnight|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|next week|weekend|call|phone"
    r"|pick|reschedule|ma[nñ]ana|lunes|martes|mi[eé]rcoles|jueves|viernes|s[aá]bado|domingo|demain|lundi|mardi"
    r"|mercredi|jeudi|vendredi|samedi|dimanche|arrive|arriving|coming|please|pls|por favor|need|order)\b",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"(?:no|nr|num|room|apt|ste)\W*", re.IGNORECASE)  # of a picture, of a door
_EDGE = " \t\r\n,.;:!-\u2013\u2014()/"


@dataclass(frozen=True, slots=True)
class Score:
    """A score that can be nothing else, and what was said beside it."""

    score: int
    comment: str


@dataclass(frozen=True, slots=True)
class Perhaps:
    """Numbers of which one may be a score; `scores` are those from 0 to 10."""

    scores: tuple[int, ...]


def score(body: str) -> Score | Perhaps | None:
    """The score in a text; None where no number in it can be one.

    A number that leads the text, or is a sentence of its own, is the score. Any other number from 0 to 10 is doubtful:
    "call me at 5". Times, dates, sums, sizes and phone numbers are none.
    """
    text = body.replace("🔟", " 10 ")
    masked = _NO_SCORE.sub(lambda found: _MASK * len(found.group()), text)
    numbers = [
        found.group() for found in _ANY.finditer(re.sub(rf"({_NUMERAL}){_OF_TEN}", r"\1", masked, flags=re.IGNORECASE))
    ]
    if not numbers:
        return None
    if len(numbers) == 1:
        found = _leading(masked, text) or _sentence(masked, text)
        if found is not None:
            return found
    clear = [number for number in numbers if number.casefold() not in _VAGUE]
    counted = clear or (numbers if _FIRST.fullmatch(masked) else [])
    scores = tuple(dict.fromkeys(value for number in counted for value in _values(number)))
    return Perhaps(scores) if scores else None


def _values(number: str) -> list[int]:
    """The scores that a number may mean: 9.5 is between two."""
    whole, *parts = re.split("[.,\u2044]", number.lstrip("-"))
    if len(whole) > 9:
        return []
    value = int(whole) if whole.isdecimal() else _WORDS[whole.casefold()]
    return [one for one in ((value, value + 1) if parts else (value,)) if one <= 10]


def _leading(masked: str, text: str) -> Score | None:
    """The number that a text begins with, unless it counts something, or what comes with it tells of a time."""
    found = _FIRST.fullmatch(masked)
    value = _value(found, masked)
    if found is None or value is None:
        return None
    rest = found["rest"]
    sentence = _SENTENCE.match(rest)
    beside = sentence.group() if sentence else ""
    counts = (_COUNTS.match(rest) and "recommend" not in beside.casefold()) or (
        value <= _LOW and not _LAMENT.match(rest)
    )
    if counts or rest.lstrip().startswith(("?", "/")) or _MASK in beside or _WHEN.search(beside):
        return None
    return Score(value, _comment(text[found.start("rest") :]))


def _sentence(masked: str, text: str) -> Score | None:
    """A number that is a sentence of its own behind or between others: "We loved it! 10"."""
    for part in _SENTENCE.finditer(masked):
        found = _FIRST.fullmatch(part.group())
        value = _value(found, masked)
        if found is not None and value is not None and not re.search(r"[\w§/]", found["rest"]):
            before, after = text[: part.start()].strip(), text[part.end() :]
            doubt = after.startswith("?") or _NUMBER.fullmatch(before) or _WHEN.search(before + after)
            return None if doubt else Score(value, _comment(f"{before} {after.strip(_EDGE)}", edge=" "))
    return None


def _value(found: re.Match[str] | None, masked: str) -> int | None:
    """The one score that was found, if it is out of ten."""
    values = _values(found["said"]) if found else []
    if len(values) != 1 or (values[0] <= 5 and _STARS.search(masked)):
        return None
    return values[0]


def _comment(text: str, edge: str = _EDGE) -> str:
    """What was said beside a score; signs alone say nothing that a person would have to read."""
    return text.strip(edge) if re.search(r"\w", text) else ""
