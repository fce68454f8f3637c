"""Read by gunicorn in the folder where it starts: what its log may hold, and what requests that last need to know."""

import socket
import time
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.workers import gthread

from cirrusweb.log import RedactedLines


class logger_class(Logger):
    """Its access log has every address that is asked for, and some of ours are passwords."""

    def setup(self, cfg: Any) -> None:
        """Let no line out as it is."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                handler.setFormatter(RedactedLines(handler.formatter))


def post_worker_init(worker: Any) -> None:
    """In each worker, once the application is loaded."""
    from monitoring import threads
    from monitoring.live.audience import audience

    threads.share_out(worker.cfg.threads)
    # Streams last for minutes: without this a stopping worker would wait for each of them.
    audience().stopping = lambda: not worker.alive


class Hurried:
    """A socket that a request is read from until ``ends_at``, however little comes with each byte."""

    def __init__(self, sock: socket.socket, wait: float, ends_at: float) -> None:
        self.sock, self.wait, self.ends_at = sock, wait, ends_at

    def recv(self, size: int) -> bytes:
        """What has come. Raises TimeoutError."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(min(self.wait, left))
        try:
            return self.sock.recv(size)
        finally:
            # An answer may take as long as it likes while it is read.
            self.sock.settimeout(self.wait)


class Connection(gthread.TConn):
    """Lets nobody hold a thread who stops reading what it asked for, or sending what it began to send, headers too.

    Who does not stop, but sends a byte now and then, has five times as long for the whole of a request.
    """

    def init(self) -> None:
        """Called in the thread before each request is read, and made blocking for ever."""
        super().init()
        wait = self.cfg.timeout or None
        self.sock.settimeout(wait)
        if wait and not self.is_http2:
            self.parser.unreader.sock = Hurried(self.sock, wait, time.monotonic() + 5 * wait)


gthread.TConn = Connection
