"""A mail as bytes: a fixed, small shape in pure ASCII that no name, subject or text can break out of.

The headers are rendered here and not by `email.message`: before Python 3.11.10 that package decodes a display
name such as `=?utf-8?q?a=0AEvil:_y?=` and writes the line break and the new header out, and the same trick adds
a recipient. A few strict functions are also several times faster, and the same mail always gives the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import UTC
from email.utils import format_datetime

from control_center.domain.errors import Malformed
from control_center.domain.outcome import Attachment, Mail

WIDTH = 76
_WORD = 39  # bytes in one encoded word: 64 characters with its frame, and room for the longest header name

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@{_LABEL}(?:\.{_LABEL})*")
_MESSAGE_ID = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_ATOM}(?:\.{_ATOM})*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_FILE_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+(?:; [a-z]+=[A-Za-z0-9-]+)*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Who writes, to whom, and how the text is packed is decided here, never by a list of further headers.
_OURS = frozenset(
    {
        "bcc", "cc", "date", "from", "message-id", "mime-version", "received", "reply-to", "return-path", "sender",
        "subject", "to",
    }
)  # fmt: skip


def address(field: str, value: str) -> str:
    """A plain ASCII address, or Malformed: quoted local parts and SMTPUTF8 are not supported."""
    match = _ADDRESS.fullmatch(value)
    if match is None or len(value) > 254 or len(match["local"]) > 64:
        raise Malformed(field, "not a plain email address such as jo@mail.example")
    return value


def build(mail: Mail) -> bytes:
    """The whole message with CRLF line ends, for one recipient: text first, then HTML where there is some, then files.

    Raises Malformed for an address, message id, further header or file name that cannot be written as it is.
    """
    lines = [*_envelope(mail), *_further(mail), "MIME-Version: 1.0", *_content(mail)]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _content(mail: Mail) -> list[str]:
    """The words, and after them the files; each only in the frame it needs."""
    if not mail.attachments:
        return _words(mail)
    files = [_file(one) for one in mail.attachments]
    return _multipart("mixed", _boundary(mail, "mixed"), [_words(mail), *files])


def _words(mail: Mail) -> list[str]:
    if mail.html is None:
        return _part("plain", mail.text)
    return _multipart("alternative", _boundary(mail), [_part("plain", mail.text), _part("html", mail.html)])


def _multipart(subtype: str, boundary: str, parts: list[list[str]]) -> list[str]:
    lines = [f'Content-Type: multipart/{subtype}; boundary="{boundary}"', ""]
    for part in parts:
        lines += [f"--{boundary}", *part]
    return [*lines, f"--{boundary}--"]


def _file(attachment: Attachment) -> list[str]:
    if not _FILE_NAME.fullmatch(attachment.name) or not _FILE_TYPE.fullmatch(attachment.type):
        raise Malformed("attachments", "a plain file name and a plain type are needed")
    packed = base64.b64encode(attachment.content).decode("ascii")
    return [
        f'Content-Type: {attachment.type};\r\n name="{attachment.name}"',
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{attachment.name}"',
        "",
        *(packed[start : start + WIDTH] for start in range(0, len(packed), WIDTH)),
    ]


def _envelope(mail: Mail) -> list[str]:
    if _MESSAGE_ID.fullmatch(mail.message_id) is None or len(mail.message_id) > 200:
        raise Malformed("message_id", "not of the form unique@domain")
    headers = [
        f"From: {_mailbox('sender', mail.sender_name, mail.sender)}",
        f"To: {_mailbox('to', mail.to_name, mail.to)}",
        f"Subject: {_unstructured(mail.subject)}",
        f"Date: {format_datetime(mail.at.astimezone(UTC))}",
        f"Message-ID: <{mail.message_id}>",
    ]
    if mail.reply_to is not None:
        headers.append(f"Reply-To: {_mailbox('reply_to', '', mail.reply_to)}")
    return headers


def _further(mail: Mail) -> list[str]:
    """Our own headers; a reminder says that no person typed it, so that no holiday notice answers."""
    names = {name.lower() for name, _ in mail.headers}
    if len(names) < len(mail.headers):
        raise Malformed("headers", "a header stands there twice")
    further = [_header(name, value) for name, value in mail.headers]
    return further if "auto-submitted" in names else [*further, "Auto-Submitted: auto-generated"]


def _header(name: str, value: str) -> str:
    lowered = name.lower()
    if _NAME.fullmatch(name) is None or lowered in _OURS or lowered.startswith(("content-", "resent-")):
        raise Malformed(f"headers.{_clean(name)[:40]}", "not a header that may be added")
    if value != _clean(value) or len(value) > 900:
        raise Malformed(f"headers.{name}", "one line of printable characters, at most 900")
    if lowered.startswith("list-"):
        if not value.isascii():
            raise Malformed(f"headers.{name}", "ASCII only")
        return f"{name}: " + re.sub(r">,\s*<", ">,\r\n <", value)  # a URI that is cut or encoded loses its button
    return f"{name}: {_unstructured(value)}"


def _mailbox(field: str, name: str, spec: str) -> str:
    checked = address(field, spec)
    clean = _clean(name)
    if not clean:
        return checked
    if not _is_plain(clean) or len(clean) > 50:
        return f"{_encoded(clean)}\r\n <{checked}>"
    phrase = re.sub(r'(["\\])', r"\\\1", clean)
    return f'"{phrase}"\r\n <{checked}>' if len(clean) + len(checked) > 60 else f'"{phrase}" <{checked}>'


def _unstructured(value: str) -> str:
    clean = _clean(value)
    words = clean.split(" ")
    if not _is_plain(clean) or any(len(word) > 60 for word in words):
        return _encoded(clean)
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < 60:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\r\n ".join(lines)


def _clean(value: str) -> str:
    """One line: controls, line ends of any alphabet and half characters become spaces, runs of spaces one."""
    return " ".join(_CONTROL.sub(" ", value).split())


def _is_plain(clean: str) -> bool:
    """ASCII that no reader can take for an encoded word."""
    return clean.isascii() and "=?" not in clean


def _encoded(clean: str) -> str:
    """RFC 2047 words, each of whole characters, one a line."""
    words = [b""]
    for char in clean:
        raw = char.encode()
        if len(words[-1]) + len(raw) > _WORD:
            words.append(b"")
        words[-1] += raw
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode('ascii')}?=" for word in words)


def _part(subtype: str, text: str) -> list[str]:
    return [
        f'Content-Type: text/{subtype}; charset="utf-8"',
        "Content-Transfer-Encoding: quoted-printable",
        "",
        _quoted_printable(text),
    ]


def _quoted_printable(text: str) -> str:
    """Seven bits and short lines whatever the text: nothing on the way has a reason to convert it."""
    lines = _UNPRINTABLE.sub("", _LINE_END.sub("\r\n", text).rstrip("\r\n"))
    raw = f"{lines}\r\n".encode("utf-8", "replace")  # the last line end tells b2a_qp that lines end in CRLF
    return binascii.b2a_qp(raw, istext=True).decode("ascii").removesuffix("\r\n")


def _boundary(mail: Mail, frame: str = "") -> str:
    """`=_` cannot occur in quoted-printable or base64, so no part can contain it; the rest keeps frames apart."""
    parts = (mail.message_id, mail.text, str(mail.html), *([frame] if frame else []))
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace"))
    return f"=_{digest.hexdigest()[:32]}"
