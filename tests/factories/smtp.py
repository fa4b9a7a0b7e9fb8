"""A mail server that a test owns: real sockets, answers as it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class MailServer:
    """What it was given, and how it answers the recipient and the mail."""

    port: int = 0
    to_recipient: str = "250 ok"
    to_mail: str = "250 taken"
    hangs_up: bool = False
    """Before it answers the mail."""
    taken: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=no"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 here")
        while line := (await reader.readline()).decode().strip():
            verb = line.partition(" ")[0].upper()
            if verb == "DATA":
                say("354 go on")
                mail = await reader.readuntil(b"\r\n.\r\n")
                if self.hangs_up:
                    break
                if self.to_mail.startswith("2"):
                    self.taken.append(mail[:-5])
                say(self.to_mail)
            elif verb == "RCPT":
                say(self.to_recipient)
            elif verb == "QUIT":
                say("221 bye")
                break
            else:
                say("250 ok")
        writer.close()


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    """Listen on a free port of this machine."""
    found = MailServer()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
