"""What clients text back, and what it is taken for: the table in `replies.toml`, the rules by name, and the laws."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain import keyword, opt_out
from control_center.domain.inbound import Answered
from control_center.domain.reply import (
    Asked,
    Circumstances,
    Comments,
    Confirms,
    ConfirmsNothing,
    Declines,
    Doubtful,
    Help,
    Keywords,
    MayBeOptOut,
    OptIn,
    OptOut,
    Plain,
    Question,
    Reading,
    Reply,
    Scores,
    Standing,
    interpret,
)

NOW: Final = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)
WAITING: Final = frozenset({"minis", "reschedule", "senior portraits", "gallery ...", "book ..."})


def asked(
    kind: Asked = Asked.CONFIRMATION, number: int = 1, standing: Standing = Standing.OPEN, days: float = 14
) -> Question:
    """Question 1 was asked last."""
    record = ("main", "session", str(4710 + number))
    return Question(kind, number, record, NOW - timedelta(hours=number), NOW + timedelta(days=days), standing)


def met(*questions: Question, opted_out: bool = False, answered: Answered | None = None) -> Circumstances:
    return Circumstances(NOW, questions, WAITING, opted_out, answered=answered)


CONFIRMATION: Final = asked()
SCORE: Final = asked(Asked.NPS, 2)
SITUATIONS: Final[Mapping[str, Circumstances]] = {
    "nothing asked": met(),
    "confirmation": met(CONFIRMATION),
    "score": met(SCORE),
    "confirmation and score": met(CONFIRMATION, SCORE),
    "confirmation, since canceled": met(asked(standing=Standing.CANCELED)),
    "confirmation, since moved": met(asked(standing=Standing.MOVED)),
    "confirmation, over": met(asked(standing=Standing.OVER)),
    "two confirmations": met(CONFIRMATION, asked(number=3)),
    "after a score": replace(met(), scored=replace(SCORE, standing=Standing.ANSWERED)),
    "opted out": met(opted_out=True),
    "opted out, confirmation": met(CONFIRMATION, opted_out=True),
}


# The table -------------------------------------------------------------------------------------------------------


def rows() -> Iterator[tuple[str, str, str]]:
    table = tomllib.loads(Path(__file__).with_name("replies.toml").read_text(encoding="utf-8"))
    return ((heading, text, told) for heading, texts in table.items() for text, told in texts.items())


ROWS: Final = tuple(rows())


def words(reply: Reply) -> str:
    """A reply as the table spells it."""
    match reply:
        case OptOut(appointment=appointment):
            return "opt-out, or the appointment" if appointment else "opt-out"
        case MayBeOptOut():
            return "may be an opt-out"
        case Help():
            return "help"
        case ConfirmsNothing(why=why):
            return f"confirms nothing: {why.value}"
        case Scores(score=score, comment=comment):
            return f"score {score}: {comment}" if comment else f"score {score}"
        case Keywords(keys=keys):
            return f"keyword: {', '.join(keys)}"
        case Doubtful(readings=readings):
            return f"a person: {', '.join(reading(one) for one in readings[:-1])}"
        case Confirms():
            return "confirms"
        case OptIn() | Comments() | Plain():
            return {OptIn: "opt-in", Comments: "comment", Plain: "plain"}[type(reply)]


def reading(one: Reading) -> str:
    match one:
        case Confirms():
            return "yes"
        case Declines():
            return "no"
        case ConfirmsNothing(why=why):
            return why.value
        case Scores(score=score):
            return str(score)
        case Keywords():
            return "keyword"
        case _:
            return words(one)


@pytest.mark.parametrize("heading", SITUATIONS)
def test_every_reply_of_the_table_is_what_it_says(heading: str) -> None:
    told = {text: words(interpret(text, SITUATIONS[heading])) for where, text, _ in ROWS if where == heading}
    assert told == {text: expected for where, text, expected in ROWS if where == heading}


def bare(text: str) -> str:
    """Without case and punctuation: two texts of the table must differ in more than these."""
    kept = "".join(letter for letter in text.casefold() if unicodedata.category(letter)[0] != "P")
    return " ".join(kept.split())


def test_the_table_has_hundreds_of_replies_of_which_no_two_are_alike() -> None:
    assert len(ROWS) >= 340
    assert len({bare(text) for _, text, _ in ROWS}) == len(ROWS)
    assert {heading for heading, _, _ in ROWS} == set(SITUATIONS)


# Words that make a text something, and what they make it.
CONSENT: Final = r"\b(?:stop|quit|end|revoke|opt ?out|cancel|unsubscribe|remove|arret|td|start|unstop|help|info)\b"
A_YES: Final = r"\b(?:yes|y|yep|s[ií]|oui)\b"
A_NUMBER: Final = r"\b(?:\d+|one|two|five|six|nine|ten)(?:am|pm|x|th)?\b"
A_KEYWORD: Final = r"\b(?:minis|senior portraits|gallery|book|reschedule)\b"
ACTED_ON: Final = ("opt-", "help", "confirms", "score", "keyword")


def means_nothing_by_it(heading: str, text: str, told: str) -> bool:
    """Whether a text contains a word that counts where it came in, and yet is not taken for it."""
    counting = [CONSENT, A_KEYWORD, *([A_YES] if "confirmation" in heading else [])]
    counting += [A_NUMBER] if "score" in heading else []
    return not told.startswith(ACTED_ON) and any(re.search(one, text.casefold()) for one in counting)


def test_the_table_has_more_than_a_hundred_texts_that_contain_a_keyword_and_do_not_mean_it() -> None:
    assert sum(means_nothing_by_it(*row) for row in ROWS) >= 110


# Opt-out, by name ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", sorted(opt_out.STOP | {"opt out", "opt-out", "stop all"}))
def test_every_word_of_the_fcc_the_carriers_twilio_and_aws_ends_texting(word: str) -> None:
    assert isinstance(interpret(word.upper(), met(CONFIRMATION, SCORE)), OptOut)


def test_the_lists_are_those_of_the_fcc_the_carriers_twilio_and_aws() -> None:
    fcc = {"stop", "quit", "end", "revoke", "optout", "cancel", "unsubscribe"}
    assert fcc | {"stopall", "remove", "arret", "td"} == opt_out.STOP


@pytest.mark.parametrize(
    "text",
    [
        "stop.",
        "Stop!!!!",
        "*STOP* ",
        "“stop”",
        "> stop",
        "\uff33\uff34\uff2f\uff30",
        "\U0001d412\U0001d413\U0001d40e\U0001d40f",
        "s̶t̶o̶p̶",
        "S\u200bTOP\ufe0f",
    ],
)
def test_punctuation_quotes_and_dress_do_not_hide_a_stop(text: str) -> None:
    assert interpret(text, met()) == OptOut("stop")


def test_a_longer_text_with_a_stop_word_is_neither_obeyed_nor_passed_over() -> None:
    assert interpret("can we stop by at 3", met()) == MayBeOptOut(("stop",))
    assert interpret("cancel my appointment", met()) == MayBeOptOut(("cancel",))
    assert interpret("end of session?", met()) == MayBeOptOut(("end",))


def test_what_may_be_an_opt_out_outranks_the_answer_it_comes_with() -> None:
    assert interpret("YES, and please stop all these reminders now", met(CONFIRMATION)) == MayBeOptOut(("stop",))


def test_a_bare_cancel_ends_texting_and_alerts_the_studio_about_the_appointment() -> None:
    assert interpret("CANCEL", met(CONFIRMATION)) == OptOut("cancel", appointment=True)
    assert interpret("cancel texts", met()) == OptOut("cancel texts")
    assert interpret("STOP", met()) == OptOut("stop")


@pytest.mark.parametrize("text", ["STOP", "No thanks", "YES", "10", "cancel my session please", ""])
def test_what_the_provider_took_for_a_stop_is_one_whatever_we_think(text: str) -> None:
    assert isinstance(interpret(text, met(CONFIRMATION, SCORE, answered=Answered.STOP)), OptOut)


def test_a_stop_that_the_provider_took_for_something_else_is_a_stop_all_the_same() -> None:
    assert isinstance(interpret("STOP", met(answered=Answered.START)), OptOut)


def test_no_trigger_waits_for_a_word_that_ends_texting_starts_it_or_asks_for_help() -> None:
    assert keyword.RESERVED == opt_out.RESERVED
    for word in sorted(keyword.RESERVED):
        found = interpret(word, replace(met(), waiting=frozenset(keyword.spoken(word))))
        assert isinstance(found, OptOut | OptIn | Help), word


# Coming back, by name --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["START", "start!", "Unstop", "START START", "start\nSent from my iPhone"])
def test_start_and_unstop_lift_a_stop(text: str) -> None:
    assert interpret(text, met(CONFIRMATION, opted_out=True)) == OptIn()


def test_a_yes_never_lifts_a_stop_it_confirms_what_was_asked_or_goes_to_a_person() -> None:
    assert interpret("YES", met(CONFIRMATION, opted_out=True)) == Confirms(CONFIRMATION)
    assert interpret("YES", met(opted_out=True)) == Doubtful((OptIn(), Plain()))


def test_the_yes_of_a_stopped_number_goes_to_a_person_even_where_a_trigger_waits_for_it() -> None:
    waiting = replace(met(opted_out=True), waiting=frozenset({"yes"}))
    assert interpret("Yes", waiting) == Doubtful((OptIn(), Keywords(("yes",)), Plain()))


def test_the_providers_own_mark_lifts_a_stop() -> None:
    assert interpret("Back on please", met(opted_out=True, answered=Answered.START)) == OptIn()
    assert interpret("YES", met(opted_out=True, answered=Answered.START)) == OptIn()


def test_a_provider_that_takes_every_yes_for_an_opt_in_does_not_eat_confirmations() -> None:
    assert interpret("YES", met(CONFIRMATION, answered=Answered.START)) == Confirms(CONFIRMATION)
    assert interpret("YES", met(CONFIRMATION, opted_out=True, answered=Answered.START)) == Confirms(CONFIRMATION)
    assert interpret("Yes", met(answered=Answered.START)) == Plain()


@pytest.mark.parametrize("text", ["HELP", "Help!!", "info"])
def test_help_and_info_are_answered_and_consumed(text: str) -> None:
    assert interpret(text, met(CONFIRMATION, SCORE)) == Help()


def test_what_the_provider_answered_as_help_is_help() -> None:
    assert interpret("HELP ME", met(answered=Answered.HELP)) == Help()


# Confirmation, by name -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["YES", "Y", "yes!", "Yes please", "si", "Sí", "OUI", "“Yes.”", "\uff39\uff45\uff53", "yes\u200b"]
)
def test_a_word_for_yes_confirms(text: str) -> None:
    assert interpret(text, met(CONFIRMATION)) == Confirms(CONFIRMATION)


@pytest.mark.parametrize("text", ["👍", "👍🏽", "ok", "Confirmed", "We'll be there"])
def test_only_a_word_for_yes_confirms_a_thumb_and_an_ok_go_to_a_person(text: str) -> None:
    assert interpret(text, met(CONFIRMATION)) == Doubtful((Confirms(CONFIRMATION), Plain()))


def test_a_no_is_never_acted_on() -> None:
    assert interpret("No", met(CONFIRMATION)) == Doubtful((Declines(CONFIRMATION), Plain()))


def test_a_reaction_that_quotes_our_question_does_not_answer_it() -> None:
    assert not isinstance(interpret("Liked “Are you coming? Reply YES”", met(CONFIRMATION)), Confirms)
    assert interpret("Loved “From 0 to 10, would you recommend us? 10 is best”", met(SCORE)) == Plain()


def test_with_two_sessions_open_the_one_asked_about_last_is_confirmed_with_a_note_on_the_other() -> None:
    later, earlier = asked(number=1), asked(number=2)
    for questions in ((later, earlier), (earlier, later)):
        found = interpret("yes", met(*questions))
        assert found == Confirms(later, beside=(earlier,))
        assert found.note == "also asked about, and not confirmed by this: session 4712 (open)"
    assert Confirms(later).note == ""


@pytest.mark.parametrize("standing", [Standing.CANCELED, Standing.MOVED, Standing.OVER])
def test_a_yes_to_what_was_canceled_moved_or_is_over_confirms_nothing_and_says_why(standing: Standing) -> None:
    gone = asked(standing=standing)
    assert interpret("Yes!", met(gone)) == ConfirmsNothing(gone, standing)


def test_a_confirmation_past_its_expiry_is_over() -> None:
    late = asked(days=-1)
    assert interpret("YES", met(late)) == ConfirmsNothing(late, Standing.OVER)


def test_a_yes_goes_past_what_was_canceled_to_what_is_still_to_come_and_the_note_tells_of_the_other() -> None:
    gone, ahead = asked(number=1, standing=Standing.CANCELED), asked(number=2)
    found = interpret("Y", met(gone, ahead))
    assert found == Confirms(ahead, beside=(gone,))
    assert found.note == "also asked about, and not confirmed by this: session 4711 (canceled)"


def test_a_question_that_is_answered_takes_no_second_answer() -> None:
    done = replace(CONFIRMATION, standing=Standing.ANSWERED)
    assert interpret("yes", met(done)) == Plain()
    assert interpret("10", met(replace(SCORE, standing=Standing.ANSWERED))) == Plain()


# Scores, by name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "score"), [("10/10", 10), ("ten!!", 10), ("0", 0), ("zero", 0), ("Six", 6), ("10!", 10)]
)
def test_a_whole_number_from_0_to_10_in_figures_or_in_words_is_a_score(text: str, score: int) -> None:
    assert interpret(text, met(SCORE)) == Scores(SCORE, score)


def test_what_is_said_beside_a_score_is_its_comment() -> None:
    assert interpret("9 great job", met(SCORE)) == Scores(SCORE, 9, "great job")


@pytest.mark.parametrize("text", ["11", "-", "great", "100", "5pm", "10/10/2026", "312-555-0188", "$7", "at 5:30"])
def test_out_of_range_dates_times_sums_and_phone_numbers_are_ordinary_replies(text: str) -> None:
    assert interpret(text, met(SCORE)) == Plain()


def test_a_number_that_may_mean_something_else_goes_to_a_person_with_its_readings() -> None:
    assert interpret("I'd say 9 or 10", met(SCORE)) == Doubtful((Scores(SCORE, 9), Scores(SCORE, 10), Plain()))
    assert interpret("call me at 5", met(SCORE)) == Doubtful((Scores(SCORE, 5), Plain()))


def test_a_score_binds_to_the_question_asked_last_and_to_none_that_has_expired() -> None:
    latest, earlier = asked(Asked.NPS, 1), asked(Asked.NPS, 2)
    assert interpret("8", met(earlier, latest)) == Scores(latest, 8)
    assert interpret("8", met(replace(latest, expires_at=NOW), earlier)) == Scores(earlier, 8)
    assert interpret("8", met(asked(Asked.NPS, days=0))) == Plain()


def test_a_score_is_taken_after_the_session_is_over() -> None:
    over = asked(Asked.NPS, standing=Standing.OVER)
    assert interpret("9", met(over)) == Scores(over, 9)


def test_with_both_questions_open_a_number_is_the_score_a_yes_the_confirmation_and_both_are_doubtful() -> None:
    both = met(CONFIRMATION, SCORE)
    assert interpret("7", both) == Scores(SCORE, 7)
    assert interpret("yes", both) == Confirms(CONFIRMATION)
    assert interpret("yes 10", both) == Doubtful((Confirms(CONFIRMATION), Scores(SCORE, 10), Plain()))


def test_a_text_within_a_day_of_a_score_is_its_comment_and_a_second_score_is_a_reply() -> None:
    after = SITUATIONS["after a score"]
    assert after.scored is not None
    assert interpret("Joan was so kind to the twins", after) == Comments(after.scored)
    assert interpret("9!", after) == Plain()


# Keywords, by name -----------------------------------------------------------------------------------------------


def test_a_text_fires_what_waits_for_all_of_it_and_what_waits_for_its_first_word() -> None:
    waiting = replace(met(), waiting=frozenset({"minis", "minis ...", "mini"}))
    assert interpret("  MINIS! ", waiting) == Keywords(("minis", "minis ..."))


def test_what_answers_a_question_is_no_keyword_any_more() -> None:
    waiting = frozenset({"yes", "10", "help me"})
    assert interpret("yes", replace(met(CONFIRMATION), waiting=waiting)) == Confirms(CONFIRMATION)
    assert interpret("10", replace(met(SCORE), waiting=waiting)) == Scores(SCORE, 10)
    assert interpret("yes", replace(met(), waiting=waiting)) == Keywords(("yes",))
    assert interpret("10?", replace(met(SCORE), waiting=frozenset())) == Doubtful((Scores(SCORE, 10), Plain()))


@pytest.mark.parametrize("text", ["minis", "RESCHEDULE"])
def test_a_text_that_is_as_a_whole_a_keyword_is_one_although_a_question_is_open(text: str) -> None:
    assert isinstance(interpret(text, met(CONFIRMATION, SCORE)), Keywords)


# Laws ------------------------------------------------------------------------------------------------------------

SOMETIMES: Final = st.sampled_from(
    [
        "yes",
        "no",
        "not",
        "10",
        "9/10",
        "ten",
        "stop",
        "start",
        "help",
        "cancel",
        "please",
        "5pm",
        "$5",
        "sí",
        "oui",
        "👍",
    ]
) | st.sampled_from(
    ["Liked “", "”", ">", "--", "?", "!", "\n", "we", "'ll be there", "at", "Sent from my iPhone", "wrong"]
)
TEXTS: Final = st.text(max_size=40) | st.lists(SOMETIMES | st.text(max_size=5), max_size=8).map(" ".join)
STANDINGS: Final = st.sampled_from(Standing)
QUESTIONS: Final = st.lists(
    st.builds(asked, st.sampled_from(Asked), st.integers(1, 9), STANDINGS, st.sampled_from([-1.0, 14.0])), max_size=3
).map(tuple)
CIRCUMSTANCES: Final = st.builds(
    Circumstances,
    at=st.just(NOW),
    questions=QUESTIONS,
    waiting=st.sampled_from([WAITING, frozenset({"yes", "10", "no ..."}), frozenset[str]()]),
    opted_out=st.booleans(),
    scored=st.none() | st.just(replace(SCORE, standing=Standing.ANSWERED)),
    answered=st.none() | st.sampled_from(Answered),
)
DRESS: Final = st.text(" .,!?*-_~'\"“”…:;#>()[]/\\|\t\n\u200b\u200d\u2060\ufeff\u00ad\ufe0f\u0336🛑❗", max_size=3)


@given(TEXTS, CIRCUMSTANCES)
def test_any_text_is_something_and_the_same_each_time(text: str, circumstances: Circumstances) -> None:
    assert interpret(text, circumstances) == interpret(text, circumstances)


@given(st.data(), CIRCUMSTANCES)
def test_a_stop_is_an_opt_out_in_any_case_punctuation_spacing_and_zero_width_dress(
    data: st.DataObject, circumstances: Circumstances
) -> None:
    word = data.draw(st.sampled_from(sorted(opt_out.STOP)))
    letters = [letter.upper() if data.draw(st.booleans()) else letter for letter in word]
    dressed = data.draw(DRESS) + "".join(letter + data.draw(DRESS) for letter in letters)
    assert isinstance(interpret(dressed, circumstances), OptOut)


BESIDE: Final = st.sampled_from(
    ["we", "you", "can", "not", "please", "by", "on", "sunday", "yes", "10", "the", "texting"]
)


@given(st.lists(BESIDE, max_size=6), CIRCUMSTANCES)
def test_a_text_that_says_stop_somewhere_is_never_passed_over(said: list[str], circumstances: Circumstances) -> None:
    for place in range(len(said) + 1):
        text = " ".join([*said[:place], "stop", *said[place:]])
        assert isinstance(interpret(text, circumstances), OptOut | MayBeOptOut)


@given(TEXTS, CIRCUMSTANCES)
def test_nothing_lifts_a_stop_but_start_unstop_and_the_providers_mark(text: str, circumstances: Circumstances) -> None:
    stopped = replace(circumstances, opted_out=True)
    if isinstance(interpret(text, stopped), OptIn) and stopped.answered is not Answered.START:
        letters = "".join(filter(str.isalpha, unicodedata.normalize("NFKD", text).casefold()))
        shape = r"(?:s+t+a+r+t+|u+n+s+t+o+p+)+"
        assert re.search(shape, letters) if "\n" in text else re.fullmatch(shape, letters)


NUMBER_WORDS: Final = (
    "zero one two three four five six seven eight nine ten cero uno dos tres cuatro cinco seis siete ocho nueve diez"
    " zéro deux trois quatre cinq sept huit neuf dix 🔟"
)


@given(TEXTS, CIRCUMSTANCES)
def test_a_text_without_a_figure_or_a_word_for_a_number_is_never_a_score(
    text: str, circumstances: Circumstances
) -> None:
    numbers = NUMBER_WORDS.split(" ")
    shown = unicodedata.normalize("NFKC", text).casefold()
    if not any(letter.isdigit() for letter in shown) and not any(word in shown for word in numbers):
        assert not isinstance(interpret(text, circumstances), Scores)


@given(TEXTS, CIRCUMSTANCES)
def test_with_no_open_question_nothing_is_an_answer(text: str, circumstances: Circumstances) -> None:
    found = interpret(text, replace(circumstances, questions=(), scored=None))
    readings = chain([found], found.readings if isinstance(found, Doubtful) else ())
    assert not any(isinstance(one, Confirms | ConfirmsNothing | Scores | Comments | Declines) for one in readings)


@given(TEXTS, CIRCUMSTANCES)
def test_nothing_is_confirmed_that_is_not_open(text: str, circumstances: Circumstances) -> None:
    found = interpret(text, circumstances)
    if isinstance(found, Confirms):
        assert found.question.standing is Standing.OPEN
        assert found.question.expires_at > NOW
