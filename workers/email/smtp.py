"""Mail through an SMTP relay: one recipient a transaction, over a few connections that are used again.

MAIL, RCPT, DATA and the text go out one by one, so that it is known which of them a failure met. Until the text
leaves, a lost connection proves that nothing was taken; afterwards only the last reply tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from control_center.domain.errors import Malformed
from control_center.domain.outcome import Accepted, Blocked, CannotTell, Cause, Lookup, Mail, Outcome, Refused, Unknown
from control_center.domain.wire import mime, smtp
from control_center.domain.wire.smtp import Relay, Step, Tls
from workers.leaving import about_to_leave

COMMAND = 30.0  # seconds for each reply but the last
TALK = 8 * COMMAND  # for all of them together, connections included: a relay that has time for none of us gets none
TAKING = 600.0  # for the reply to the text: RFC 5321 asks for ten minutes, and a shorter one makes doubts
LONGEST = TALK + TAKING  # no call takes longer; after how long its worker counts as lost is reckoned from this
IDLE = 30.0
MESSAGES = 100  # over one connection; relays that count close it themselves, at a worse moment


class _LateError(Exception):
    """The time for the talk was over at the moment when the text was about to leave: nothing of it has."""


class _DeadError(Exception):
    """A connection from the pool was gone before MAIL was answered: proven nothing sent, another one may try."""


@dataclass(slots=True, eq=False)
class _Line:
    """One connection, used by one call at a time."""

    client: SMTP
    used: int = 0
    clean: bool = True  # the relay has forgotten the last transaction; it does so by itself when it takes a mail
    timer: asyncio.TimerHandle | None = None


class Smtp:
    """Owns the connections to one relay. Make it inside the running loop, close it there."""

    says_when_it_leaves = True

    def __init__(
        self,
        relay: Relay,
        *,
        slots: int = 4,
        tls: ssl.SSLContext | None = None,
        command: float = COMMAND,
        talk: float = TALK,
        taking: float = TAKING,
        idle: float = IDLE,
        messages: int = MESSAGES,
        return_path: Callable[[str], str | None] | None = None,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """`tls` trusts the relay's certificate where the system's authorities do not.

        `return_path` makes of an attempt's key the address that its bounces come back to; without it that is the
        sender. `sign` puts a signature before a mail.
        """
        self._relay = relay
        self._tls = tls or (None if relay.tls is Tls.NONE else ssl.create_default_context())
        self._command = command
        self._talk = talk
        self._taking = taking
        self._idle = idle
        self._messages = messages
        self._return_path = return_path
        self._sign = sign
        self._slots = asyncio.Semaphore(slots)
        self._pool: list[_Line] = []
        self._closed = False

    async def submit(self, message: Mail) -> Outcome:
        """Hand this mail to the relay. Whatever the network or the relay does is a value, save cancellation."""
        try:
            built = mime.build(message)
        except Malformed as wrong:
            return _unusable(wrong)
        content = smtp.transmission(await asyncio.to_thread(self._sign, built) if self._sign is not None else built)
        try:
            async with asyncio.timeout(self._talk) as talk:
                return await self._handed_over(message, content, talk)
        except (TimeoutError, _LateError):  # the text left only if the limit had been lifted
            return smtp.lost(Step.HELLO, f"its replies took more than {self._talk:g} seconds in all")

    async def _handed_over(self, message: Mail, content: bytes, talk: asyncio.Timeout) -> Outcome:
        """`talk` ends what takes too long, until the text is about to leave."""
        async with self._slots:
            line = self._living()
            if line is not None:
                with contextlib.suppress(_DeadError):
                    return await self._use(line, message, content, talk)
            made = await self._connect()
            return await self._use(made, message, content, talk) if isinstance(made, _Line) else made

    async def lookup(self, message: Mail, known: Collection[str] = ()) -> Lookup:  # noqa: ARG002 - as every channel
        return CannotTell("smtp: a relay cannot be asked about a mail")

    async def close(self) -> None:
        """Part from the relay politely. A call in flight ends by itself and then closes its connection."""
        self._closed = True
        while self._pool:
            _part(self._pool.pop())

    def _living(self) -> _Line | None:
        """The connection used last, of those that the relay has not closed meanwhile."""
        while self._pool:
            line = self._pool.pop()
            if line.client.is_connected:
                return line
            _part(line)
        return None

    async def _connect(self) -> _Line | Outcome:
        client = SMTP(
            hostname=self._relay.host,
            port=self._relay.port,
            username=self._relay.username,
            password=self._relay.password,
            use_tls=self._relay.tls is Tls.IMPLICIT,
            start_tls=self._relay.tls is Tls.STARTTLS,
            tls_context=self._tls,
            local_hostname=_own_name(),
            timeout=self._command,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except BaseException as error:
            client.close()
            if isinstance(error, (SMTPException, OSError, ValueError)):
                return _unconnected(error)
            raise
        return _Line(client)

    async def _use(self, line: _Line, message: Mail, content: bytes, talk: asyncio.Timeout) -> Outcome:
        """One transaction over this line, which goes back to the pool only when both sides agree where it is."""
        if line.timer is not None:
            line.timer.cancel()
        in_step = False
        try:
            outcome, in_step = await self._transact(line, message, content, talk)
        finally:
            line.used += 1
            if in_step and line.client.is_connected and line.used < self._messages and not self._closed:
                line.timer = asyncio.get_running_loop().call_later(self._idle, self._retire, line)
                self._pool.append(line)
            else:
                _part(line)
        return outcome

    async def _transact(
        self, line: _Line, message: Mail, content: bytes, talk: asyncio.Timeout
    ) -> tuple[Outcome, bool]:
        """The outcome, and whether the connection can serve another message."""
        client, step = line.client, Step.MAIL
        try:
            if not line.clean:
                await self._reset(client)
            line.clean = False
            answer = await self._say(client, f"MAIL FROM:<{self._envelope_sender(message)}>")
            if answer.code == 250:
                step = Step.RCPT
                answer = await self._say(client, f"RCPT TO:<{message.to}>")
            if step is Step.RCPT and answer.code in {250, 251}:
                step = Step.DATA
                answer = await self._say(client, "DATA")
            if step is Step.DATA and answer.code == 354 and client.protocol is not None:
                if talk.expired():  # the reply came in the same moment, and the library let it go before
                    raise _LateError
                talk.reschedule(None)
                about_to_leave()
                client.protocol.write(content)  # raises where the connection is known to be gone: nothing left
                step = Step.DOT
                answer = await client.protocol.read_response(timeout=self._taking)
        except SMTPResponseException as garbled:  # not a reply at all
            return smtp.reply(step, garbled.code, garbled.message), False
        except (SMTPException, OSError) as error:
            if line.used and step is Step.MAIL:
                raise _DeadError from error
            return smtp.lost(step, _name(error)), False
        outcome = smtp.reply(step, answer.code, answer.message)
        line.clean = isinstance(outcome, Accepted)
        return outcome, answer.code != 421 and not isinstance(outcome, Unknown)

    def _envelope_sender(self, message: Mail) -> str:
        own = self._return_path(message.key) if self._return_path is not None else None
        return own or message.sender

    async def _reset(self, client: SMTP) -> None:
        """Make the relay forget a transaction that came to nothing."""
        answer = await self._say(client, "RSET")
        if answer.code != 250:
            raise SMTPServerDisconnected(answer.message)

    async def _say(self, client: SMTP, command: str) -> SMTPResponse:
        return await client.execute_command(command.encode("ascii"), timeout=self._command)

    def _retire(self, line: _Line) -> None:
        with contextlib.suppress(ValueError):  # taken in this very turn of the loop
            self._pool.remove(line)
            _part(line)


def _part(line: _Line) -> None:
    """QUIT without waiting for the answer: the result is known, and nothing that happens here changes it."""
    if line.timer is not None:
        line.timer.cancel()
    if line.client.protocol is not None:
        with contextlib.suppress(SMTPException, OSError):
            line.client.protocol.write(b"QUIT\r\n")
    line.client.close()


def _unconnected(error: SMTPException | OSError | ValueError) -> Outcome:
    if isinstance(error, SMTPAuthenticationError):
        return smtp.reply(Step.AUTH, error.code, error.message)
    if isinstance(error, SMTPResponseException):
        return smtp.reply(Step.HELLO, error.code, error.message)
    if isinstance(error, (SMTPServerDisconnected, SMTPTimeoutError, OSError)):
        return smtp.lost(Step.HELLO, _name(error))
    return Blocked(f"smtp: {_name(error)}")  # no STARTTLS, no AUTH, a name that is no host: wrong for every mail


def _unusable(wrong: Malformed) -> Outcome:
    if wrong.field == "to":
        return Refused(f"email: {wrong}", Cause.RECIPIENT)
    if wrong.field in {"sender", "reply_to"}:
        return Blocked(f"email: {wrong}")
    return Refused(f"email: {wrong}", Cause.CONTENT)


def _own_name() -> str:
    """For EHLO: the host's name where it is a full one. Asking the resolver could hang for minutes."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {smtp.quoted(str(error))}".rstrip(": ")
