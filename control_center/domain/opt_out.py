"""Which texts end all texting to a number, which may mean to, and the words that bring a number back or ask for help.

Words are given as `reply_words.words` spells them: without case, accents, punctuation, emoji and apostrophes. The
lists here are the only ones: what triggers may not wait for is made of them, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

Words = tuple[str, ...]

# Each alone is a revocation: the FCC's list, what carriers add (stopall), Twilio (optout) and AWS (remove, arret, td).
STOP: Final = frozenset({"stop", "quit", "end", "revoke", "optout", "cancel", "unsubscribe", "stopall"}) | frozenset(
    {"remove", "arret", "td"}
)
# What a client texts who means the appointment: it ends all texting nevertheless, and somebody has to ask.
CANCEL: Final = "cancel"
START: Final = frozenset({"start", "unstop"})
HELP: Final = frozenset({"help", "info", "aide", "ayuda"})
# The word of other languages, and the spellings of a word that few people can spell.
_ALSO: Final = frozenset(
    {"pare", "paren", "parar", "arretez", "arreter", "desabonner", "desabonnement", "desinscription", "stop2end"}
    | {"stop2quit", "unsubscribed", "unsuscribe", "unsubcribe", "unsubscibe", "unsubscrib", "usubscribe", "unsub"}
)
# Only alone: in a longer text these are "low", "tall" and "take away".
_ALONE: Final = frozenset({"baja", "alto", "detener", "quitar", "desuscribir", "desuscribirme"})
# The word, or "unsubscribe", in other tongues and scripts, where as a whole text it says nothing else. They are written
# as words are: without marks, so that the last one lacks its ring.
_TONGUES: Final = frozenset(
    {"стоп", "отписаться", "отписка", "στοπ", "סטופ", "הסר", "توقف", "ايقاف", "اوقف", "abmelden", "abbestellen"}
    | {"停止", "配信停止", "退订", "退訂", "取消订阅", "取消訂閱", "중지", "수신거부", "ストッフ"}
)
# Of these, what stands within a word where a script puts no spaces.
_UNSPACED: Final = re.compile("停止|退订|退訂|取消订阅|取消訂閱|중지|수신거부|그만|ストッフ")
# Seldom meant as a revocation when alone (a misspelling, the appointment), and always worth a look.
_PERHAPS: Final = frozenset(
    {"stpo", "st0p", "sotp", "stip", "unsubscribing", "cease", "desist"}
    | {"basta", "cancelar", "cancelen", "annuler", "annulez", "stahp", "dnc", "sispann", "tigil", "itigil"}
)

# No trigger waits for these: such a text never comes as far as the keywords, which keep their accents.
RESERVED: Final = (
    STOP
    | START
    | HELP
    | _ALSO
    | _ALONE
    | _TONGUES
    | frozenset({"opt out", "stop all", "arrêt", "arrêtez", "arrêter", "désabonner", "ストップ", "إيقاف", "أوقف"})
)

# What may stand around a phrase without changing it.
_BEFORE = (
    r"(?:(?:please|pls|plz|hi|hello|hey|ok|okay|just|sorry|i said|i asked you to|can you|could you|would you|you can"
    r"|(?:this is the |you have the |you got the )?wrong number|por favor|hola|numero equivocado|bonjour|svp"
    r"|s ?il (?:vous|te) plait|merci de|veuillez) )*"
)
_AFTER = (
    r"(?: (?:please|pls|plz|thanks|thank you|thx|ty|now|right now|immediately|asap|ffs|wtf|for good|forever"
    r"|wrong number|(?:you have the|this is the) wrong number|por favor|gracias|ya|merci|svp|s ?il (?:vous|te) plait))*"
)
_TEXTS = (
    r"(?:te?xts?|txts|te?xt messages?|messages?|msgs?|sms|texting|messaging|notifications?|reminders?"
    r"|spam|alerts|communications?)"
)
_THESE = r"(?:all |all of |any |any more )?(?:the |these |those |your |this |more )?"
_MORE = r"(?: (?:any ?more|again|ever|ever again|at all|no more|at this number))*"
_SENDING = (
    rf"(?:texting|messaging|contacting|spamming|sending)(?: me| us| this number| here)?"
    rf"(?: {_THESE}{_TEXTS}| these| those| this)?{_MORE}"
)
_ME = r"(?: me| us| my number| this number)?"
_OUT = (
    r"(?: from| of)? (?:all |all of )?(?:the |these |those |your |this )?"
    r"(?:te?xts?|te?xt messages?|messages?|sms|te?xting)(?: list| messages| alerts)?"
)
_WANT = r"(?:i (?:want|wish|need)|id like|i would like|i d like|we want|lets) (?:to )?(?:be )?"
_MESSAGES = r"(?:mensajes?(?: de texto)?|textos?|sms|mensajitos)"
_LES_MESSAGES = r"(?:messages?|sms|textos?|rappels)"

# Each is a whole text, but for what stands around it.
_PHRASES: Final = (
    # English
    r"(?:stop|stopall|unsubscribe|optout|pare|paren|parar|arretez|arreter)(?: all| everything)?",
    rf"(?:stop|quit|end|cancel) {_THESE}{_TEXTS}(?: {_TEXTS})?(?: to (?:me|us|this number|my phone))?{_MORE}",
    rf"(?:stop|quit) {_SENDING}",
    rf"(?:{_WANT})?(?:stop|quit) (?:receiving|getting) {_THESE}{_TEXTS}{_MORE}",
    r"stop (?:2|to) (?:end|quit|stop|opt ?out|unsubscribe)",
    rf"(?:do not|dont|never) (?:text|txt|message|msg|contact){_ME}{_MORE}",
    rf"(?:do not|dont|never) send{_ME} {_THESE}{_TEXTS}{_MORE}",
    rf"no more {_TEXTS}(?: (?:to me|to this number))?",
    rf"(?:{_WANT})?(?:unsubscribed?|opt{_ME} out|opted out)(?: me| us)?(?:{_OUT})?",
    rf"(?:{_WANT})?(?:unsubscribed?|opt{_ME} out)(?: me| us)?(?: from| of) (?:this|all|everything|all of this)",
    rf"remove (?:me|us|my number|this number)(?:{_OUT})?",
    r"(?:i )?(?:hereby )?(?:revoke|withdraw) (?:my )?consent",
    # Spanish
    rf"(?:ya )?no (?:mas|quiero(?: recibir)?(?: mas)?|quiero que me manden(?: mas)?) {_MESSAGES}",
    r"(?:ya )?no (?:me |nos )?(?:escriban?|escribas|texteen|contacten|contacte)(?: mas| nunca mas)?",
    rf"(?:ya )?no (?:me |nos )?(?:manden?|mandes|envien?|envies)(?: mas)? (?:mas )?{_MESSAGES}",
    r"(?:dejen?|deja|dejar|paren|pare|parar) de (?:escribir(?:me|nos)?|textear(?:me)?)",
    rf"(?:dejen?|deja|dejar|paren|pare|parar) de (?:mandar|enviar)(?:me|nos)? (?:mas |estos )?{_MESSAGES}",
    rf"(?:paren|pare|parar|basta|alto|detener|cancelar)(?: con| de| a)?(?: los| estos| sus| todos los)? {_MESSAGES}",
    r"(?:quiero |quisiera |deseo )?(?:dar(?:me)?|den me|denme|deme|dame) de baja",
    # French
    rf"(?:arretez?|arreter|arret|cessez|stop)(?: avec)?(?: les| vos| tous les| ces| aux)? {_LES_MESSAGES}",
    rf"(?:arretez?|arreter|cessez) de (?:me |m ?)envoyer (?:des|ces|vos) {_LES_MESSAGES}",
    r"(?:arretez?|arreter|cessez) de (?:me |m ?)(?:ecrire|texter|contacter)",
    rf"plus de {_LES_MESSAGES}|je ne veux plus (?:de|recevoir(?: de| vos| ces)?) {_LES_MESSAGES}",
    r"ne (?:me |m ?)(?:ecrivez|ecris|contactez|contacte|textez|texte) plus",
    rf"ne (?:me |m ?)(?:envoyez|envoie) plus(?: (?:de|ces) {_LES_MESSAGES})?",
    r"(?:je (?:veux|souhaite|voudrais) )?(?:me desabonner|desabonnez ?moi|desinscrivez ?moi|me desinscrire)",
)
_PHRASE: Final = re.compile(f"{_BEFORE}(?:{'|'.join(_PHRASES)}){_AFTER}")
_ABOUT_TEXTS: Final = re.compile(f"{_TEXTS}|{_MESSAGES}")
_LONGEST_PHRASE = 14  # words; a longer text is no short phrase

# Without any word of the list, and yet wishing to be left alone, or telling that the number is somebody else's.
_LEFT_ALONE: Final = re.compile(
    r"\b(?:leave (?:me|us) (?:alone|be)|(?:take|get) (?:me|us|my number|this number) off|delete me"
    r"|(?:lose|delete|erase) (?:my|this) number|no more (?:te?xts?|messages?|msgs?|sms|ads|spam)"
    r"|(?:do not|dont|never|no longer|shouldnt) (?:ever |be )?(?:text|txt|message|messag|msg|contact)(?:ing)?"
    r"|(?:do not|dont|never) send (?:me|us|any|anything|more|these|texts?|messages?)|^no mas$"
    rf"|(?:dont|do not|no longer) (?:want|wish|care)\b.{{0,30}}\b{_TEXTS}|^no more$|(?:have|got) the wrong$|^wrong$"
    r"|(?:take|get) (?:my|this) number out"
    r"|(?:never|didnt|did not) (?:sign(?:ed)? up|subscribed?|opt(?:ed)? in|ask(?:ed)? for|agreed? to)"
    rf"(?: for| to)?(?: this| these| it| your| any)?(?: {_TEXTS})?$"
    r"|opt(?:ed|ing)? (?:me )?out|go away|piss off|fuck off|fuck you|buzz off"
    r"|get lost|(?:too many|sick of|tired of) (?:(?:these|your|all) )*(?:te?xts?|messages|sms)|spam(?:ming)?|harass\w*"
    r"|withdraw my consent|do not call list|wrong (?:number|person|phone|guy|lady)|not (?:my|the right) number"
    r"|^(?:(?:hi|hello|sorry|no|thanks|thank you) )*(?:(?:im|i am|we are|were) )?(?:not|no longer) interested"
    r"(?: (?:any ?more|at this time|in this|sorry|thanks|thank you|please))*$"
    r"|^(?:hola )?(?:no|ya no) (?:me|nos) interesan?(?: (?:mas|gracias))*$"
    r"|^(?:bonjour )?(?:(?:je ne suis|nous ne sommes) (?:plus|pas) interesse?e?s?|(?:ca|cela) ne minteresse"
    r" (?:plus|pas))(?: merci)*$"
    r"|(?:quit|sac|borr|elimin)(?:ar|en|e)(?:me|nos)? (?:de|mi numero de) (?:la|su|esta) lista"
    r"|ne plus (?:me |m ?|nous )?(?:contacter|ecrire|texter|envoyer|recevoir|deranger)"
    r"|^para(?: (?:ya|por favor))*$"
    r"|dejen?me en paz|quitenme|saquenme|borren mi numero|borrenme|no me (?:escrib|mand|envi|contact)\w*"
    r"|no (?:me |nos )?molest\w*"
    r"|stop[0-9]{1,3}|^(?:sair|ferma|(?:dung|ngung)(?: lai)?)$|huy [dđ]ang ky|الغاء الاشتراك"
    r"|dejen? de (?:escribir|mandar|enviar|molestar)\w*|numero equivocado|darme de baja|laiss(?:ez|e) ?moi tranquille"
    r"|(?:retirez|enlevez) ?moi|supprimez (?:moi|mon numero)|ne (?:m ?|me )\w+ plus|mauvais numero|faux numero"
    r"|trompez? de numero)\b"
)
_RESUMES: Final = frozenset({"start", "unstop", "subscribe", "resubscribe", "resume"})
_AGAIN: Final = re.compile(
    r"\b(?:te?xts?|te?xting|messages?|messaging|reminders) (?:(?:me|us|from you) )?(?:again|back on)\b"
)
_REPEATED: Final = re.compile(r"(.)\1+")
_NOT_DRAWN: Final = frozenset({"stoop"})  # a word of its own
_SIGNS: Final = frozenset("🛑⛔🚫🖕")


def opts_out(words: Words) -> str | None:
    """What a text says that ends all texting to its number: a word, spelled however, or a short phrase; else None."""
    together = "".join(words)
    one = _known(together, STOP | _ALSO | _ALONE | _TONGUES)
    if one is not None:
        return one
    if words and all(_known(word, STOP | _ALSO) for word in words):
        return " ".join(words)
    said = " ".join(words)
    return said if len(words) <= _LONGEST_PHRASE and _PHRASE.fullmatch(said) else None


def may_opt_out(words: Words, text: str = "") -> tuple[str, ...]:
    """The words for which a person should look whether a text means to end texting; none for any other text.

    A word of the list counts wherever it stands: "can we stop by at 3" is neither obeyed nor passed over. `text`
    is the text as it came, for signs that are no words.
    """
    found = [word for word in words if _known(word, STOP | _ALSO | _PERHAPS | _TONGUES) or _UNSPACED.search(word)]
    alone = [match.group() for match in _LEFT_ALONE.finditer(" ".join(words))]
    signs = [] if words else [letter for letter in text if letter in _SIGNS]
    return tuple(dict.fromkeys([*found, *alone, *signs]))


def opts_in(words: Words) -> bool:
    """Whether a text is START or UNSTOP and nothing else."""
    return _known("".join(words), START) is not None or (bool(words) and all(_known(word, START) for word in words))


def may_opt_in(words: Words) -> bool:
    """Whether a number that said STOP may want texts again. Only START and UNSTOP say so."""
    return not _RESUMES.isdisjoint(words) or _AGAIN.search(" ".join(words)) is not None


def asks_for_help(words: Words) -> bool:
    """Whether a text is HELP or INFO and nothing else."""
    return _known("".join(words), HELP) is not None or (bool(words) and all(_known(word, HELP) for word in words))


def cancels(words: Words) -> bool:
    """Whether a text that ends texting may have meant an appointment."""
    if any(_ABOUT_TEXTS.fullmatch(word) for word in words):
        return False
    return any(_known(word, frozenset({CANCEL})) for word in (*words, "".join(words)))


def _known(word: str, listed: frozenset[str]) -> str | None:
    """The word of the list that this is, also drawn out: "stoppp"."""
    if word in listed:
        return word
    short = _drawn(word)
    return _by_spelling(listed).get(short) if short != word and word not in _NOT_DRAWN else None


@lru_cache(maxsize=8)
def _by_spelling(listed: frozenset[str]) -> Mapping[str, str]:
    return {_drawn(word): word for word in sorted(listed)}


def _drawn(word: str) -> str:
    return _REPEATED.sub(r"\1", word)
