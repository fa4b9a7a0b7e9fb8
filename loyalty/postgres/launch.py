"""Becomes PostgreSQL: gives up root, ties its life to the parent's, then executes the program given.

Run by path, with the standard library only: `launch.py UID GID PARENT PROGRAM ARGUMENT…` (UID -1: stay who we are).
The order matters: the kernel forgets the death signal when the user changes, and a parent that died before it was set sends none.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Replace this process by the program."""
    user, group, parent = (int(argument) for argument in arguments[:3])
    if user >= 0:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    if sys.platform == "linux":
        # SIGINT is PostgreSQL's fast shutdown: sessions end, a checkpoint is written, the next start needs no recovery.
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        if os.getppid() != parent:
            sys.exit(1)
    os.umask(0o077)
    os.execv(arguments[3], arguments[3:])  # noqa: S606 - the arguments come from server.py, no shell is involved


if __name__ == "__main__":
    main(sys.argv[1:])
