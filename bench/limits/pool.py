"""A thread pool that asks for the same statuses and does nothing with them: the least that polling can take."""

import http.client
import queue
import threading
import time
from urllib.parse import urlsplit


def poll(base_url: str, key: str, serials: list[str], threads: int) -> float:
    """Seconds until every status has been read, with a persistent connection for each thread."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for serial in serials:
        waiting.put(serial)
    parts = urlsplit(base_url)

    def run() -> None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        while True:
            try:
                serial = waiting.get_nowait()
            except queue.Empty:
                connection.close()
                return
            connection.request(
                "GET", f"{parts.path}/control/instruments/{serial}/status", headers={"X-Api-Key": key}
            )
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"a status was answered with {answer.status}")

    workers = [threading.Thread(target=run) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began
