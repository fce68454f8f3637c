"""A simulated MyCirrus for tests of any room: the real process on a free port; it must not be imported by the code."""

import json
import select
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

_ROOT = Path(__file__).resolve().parent.parent


class SimulatedMyCirrus:
    """`with SimulatedMyCirrus("--fleet", "3") as mycirrus:` starts `python -m simulator`; levers are methods."""

    key = "mycirrus-000001-5111C0DE5111C0DE"
    # For tests that ask for days of their own: the same answers whenever they run.
    past = "2026-11-22"

    def __init__(self, *flags: str, fleet: int = 12, seed: int = 1, epoch: str | None = "yesterday") -> None:
        self._flags = [f"--fleet={fleet}", f"--seed={seed}", "--allow-http-webhooks", "--action-seconds=0.2"]
        if epoch == "yesterday":
            # What its story tells of tonight is over, and as long ago as at every other run.
            epoch = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        self._flags += [f"--epoch={epoch}"] if epoch else []
        self._flags += flags
        self._process: subprocess.Popen[str] | None = None
        self.base_url = ""

    def start(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simulator", "--port=0", *self._flags],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 20)
        line = self._process.stdout.readline() if ready else ""
        if not line.startswith("listening on "):
            self.stop()
            raise RuntimeError(f"the simulator did not start: {line!r}")
        self.base_url = line.removeprefix("listening on ").strip()
        return self

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def moods(self, **wishes: Any) -> list[dict[str, Any]]:
        """Switch moods, `_` for `-`: moods(latency=0.5, path="/v1/data", count=2); moods() switches all off."""
        if not wishes:
            return self._lever("DELETE", "moods")
        return self._lever("POST", "moods", wishes)

    def deliver(self, kind: str, instrument: str, *, wait: bool = True, **members: Any) -> Any:
        """Send a true message of this kind (with `members` over it) to the webhooks registered for it, now."""
        body = {"type": kind, "instrument": instrument, "message": members, "wait": wait}
        return self._lever("POST", "deliver", body)

    def deliver_to(self, url: str, *, secret: str = "", **more: Any) -> Any:
        """Send any bytes anywhere: `message` or `raw`, `id`, and `signature` to send a wrong one."""
        return self._lever("POST", "deliver", {"url": url, "secret": secret, **more})

    def offline(self, serial: str, offline: bool | None = True) -> dict[str, Any]:
        return self._lever("POST", "offline", {"serial": serial, "offline": offline})

    def add_key(
        self, key: str, scopes: list[str] | None = None, instruments: list[str] | None = None
    ) -> None:
        self._lever("POST", "keys", {"key": key, "scopes": scopes, "instruments": instruments})

    def revoke_key(self, key: str) -> None:
        self._lever("DELETE", "keys", {"key": key})

    def run_sic(self, serial: str | None = None, *, failing: bool = True) -> dict[str, Any]:
        return self._lever("POST", "sic", {"serial": serial, "failing": failing})

    def clock(self, ahead: float) -> dict[str, Any]:
        return self._lever("POST", "clock", {"ahead": ahead})

    def requests(self) -> dict[str, Any]:
        """`total`, `counts` by operation id, and `recent` requests with path, query, status and the key's last four."""
        return self._lever("GET", "requests")

    def forget_requests(self) -> None:
        self._lever("DELETE", "requests")

    def deliveries(self) -> list[dict[str, Any]]:
        return self._lever("GET", "deliveries")

    def facts(self, serial: str | None = None) -> dict[str, Any]:
        return self._lever("GET", f"facts?serial={serial}" if serial else "facts")

    def live_sockets(self) -> int:
        """How many live sockets are open now."""
        return self.facts()["live"]

    def serials(self, kind: str = "Noise") -> list[str]:
        return [row["serial"] for row in self.facts()["instruments"] if row["type"] == kind]

    def character(self, name: str) -> str:
        """The serial of the first instrument of this character, such as `failing-sic` or `offline`."""
        return next(row["serial"] for row in self.facts()["instruments"] if row["character"] == name)

    def get(self, path: str, query: str = "", *, key: str | None = key, plain: bool = True) -> Any:
        """One answer of the API itself; `plain` keeps the moods out of it."""
        headers = {"X-Api-Key": key} if key else {}
        if plain:
            headers["X-Sim-Plain"] = "1"
        return self._call("GET", f"{self.base_url}{path}{'?' + query if query else ''}", headers)

    def until(self, condition: Any, seconds: float = 60.0) -> Any:
        """Poll until the condition gives something true, and give that."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise AssertionError("the simulator never came to it")
            time.sleep(0.05)
        return found

    def _lever(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        address = f"{self.base_url.removesuffix('/v1')}/_sim/{path}"
        return self._call(method, address, {}, None if body is None else json.dumps(body).encode())

    @staticmethod
    def _call(method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Any:
        # Straight to the process, whatever proxy the environment names.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310
        try:
            with opener.open(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {url}: {error.code} {error.read()[:300]!r}") from None
