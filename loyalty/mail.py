"""Mail: made as RFC 5322 has it, handed to a mail server over TLS."""

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from loyalty.outbox import MessageStatus, Result

_SECONDS: Final = 30
_PORTS: Final = {"smtp": 587, "smtps": 465}


class Attached(NamedTuple):
    """One file of a mail."""

    name: str
    type: str
    """`application/pdf`."""
    content: bytes


def compose(
    *, sender: str, to: str, subject: str, text: str, html: str = "", files: Sequence[Attached] = (), message_id: str, at: datetime
) -> bytes:
    """Return a mail's bytes. `message_id` is stable, so that a server that got it twice knows it."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Date"], mail["Message-ID"] = format_datetime(at), f"<{message_id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    for file in files:
        kind, _slash, sub = file.type.partition("/")
        mail.add_attachment(file.content, maintype=kind, subtype=sub, filename=file.name)
    return mail.as_bytes()


def send(url: str, *, sender: str, to: str, payload: bytes) -> Result:
    """Hand one mail to the server at `url` (`smtp://name:password@host:587`, `smtps://…:465`); blocks.

    `smtp` goes over to TLS before anything is said, `?tls=no` does without, for a server on this machine. What the server refuses for
    good is dead; what it refuses for now, or when it cannot be reached, waits. A connection lost after the mail was handed over leaves
    it uncertain.
    """
    parts = urlsplit(url)
    handed = taken = False
    try:
        with _connected(parts) as server:
            handed = True
            server.sendmail(parseaddr(sender)[1], [to], payload)
            taken = True
    except smtplib.SMTPAuthenticationError as refused:
        return Result(MessageStatus.WAITING, f"{refused.smtp_code} the name or password of the mail server is wrong")
    except smtplib.SMTPRecipientsRefused as refused:
        return _refused(*next(iter(refused.recipients.values())))
    except smtplib.SMTPResponseException as refused:
        return Result(MessageStatus.SENT) if taken else _refused(refused.smtp_code, refused.smtp_error)
    except (OSError, smtplib.SMTPException) as broken:
        # Before the mail was handed over nothing can have left; after it was taken only the farewell was lost.
        status = MessageStatus.SENT if taken else MessageStatus.UNCERTAIN if handed else MessageStatus.WAITING
        return Result(status, None if taken else type(broken).__name__)
    return Result(MessageStatus.SENT)


@contextmanager
def _connected(parts: SplitResult) -> Iterator[smtplib.SMTP]:
    """Connect over TLS and say who we are."""
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    trust = ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=trust)
    else:
        server = smtplib.SMTP(host, port, timeout=_SECONDS)
    with server:
        if parts.scheme == "smtp" and parts.query != "tls=no":
            server.starttls(context=trust)
        if parts.username is not None:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        yield server


def _refused(code: int, said: bytes | str) -> Result:
    words = said.decode(errors="replace") if isinstance(said, bytes) else said
    status = MessageStatus.DEAD if 500 <= code < 600 else MessageStatus.WAITING
    return Result(status, f"{code} {words}"[:200])
