"""Read by gunicorn in the folder where it starts: what its log may hold, and what requests that last need to know."""

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


class Connection(gthread.TConn):
    """Lets nobody hold a thread who stops reading what it asked for, or sending what it began to send, headers too."""

    def init(self) -> None:
        """Called in the thread before each request is read, and made blocking for ever."""
        super().init()
        self.sock.settimeout(self.cfg.timeout or None)


gthread.TConn = Connection
