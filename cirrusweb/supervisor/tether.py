"""Ties a child process to its parent, so that a killed parent leaves none behind; on Linux only, else a no-op."""

import ctypes
import os
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1

# Loaded before any fork: a child between fork and exec must not have to open a library.
_prctl: Callable[..., int] | None = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def tie_to_parent(death_signal: int) -> Callable[[], None]:
    """A ``preexec_fn`` that makes the kernel send ``death_signal`` to the child when this process dies.

    Call it and start the child from the main thread: to the kernel the parent is the thread that forks.
    """
    parent = os.getpid()

    def tie() -> None:
        if _prctl is None:
            return
        _prctl(PR_SET_PDEATHSIG, death_signal)
        # The parent may have died before the line above took effect.
        if os.getppid() != parent:
            os._exit(1)

    return tie
