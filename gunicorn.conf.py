"""Read by gunicorn in the folder where it starts: tells live streams how many threads there are and when to end."""

from typing import Any


def post_worker_init(worker: Any) -> None:
    """In each worker, once the application is loaded."""
    from monitoring.live.audience import audience

    # Streams last for minutes: without this a stopping worker would wait for each of them.
    audience().serve_with(threads=worker.cfg.threads, stopping=lambda: not worker.alive)
