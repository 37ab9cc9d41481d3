"""The parts of a form as programs send it, RFC 7578."""

from __future__ import annotations

from email.message import Message

from control_center.domain.wire import mime_reader


def parts(content_type: str, body: bytes) -> list[Message]:
    """The fields and files of `multipart/form-data`; none where it is no such form, or has forms within it."""
    if not content_type.isascii() or not content_type.isprintable():
        return []
    try:
        whole = mime_reader.read(b"Content-Type: " + content_type.encode("ascii") + b"\r\n\r\n" + body, levels=1)
    except mime_reader.Unreadable:
        return []
    found = whole.get_payload()
    return [one for one in found if isinstance(one, Message)] if isinstance(found, list) else []
