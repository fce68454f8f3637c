"""The process: one line when ready, gone at once, light, and with a memory only where it was given a file."""

import json
import os
import signal
import stat
import struct
import subprocess
import sys
import time
import wave
from io import BytesIO
from pathlib import Path

import pytest

from tests.simulated import SimulatedMyCirrus
from tests.simulator.conftest import Caller

ROOT = Path(__file__).resolve().parents[2]


def test_sigterm_stops_it_at_once_even_while_it_hangs(own: SimulatedMyCirrus) -> None:
    own.moods(hang=True)
    waiting = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import urllib.request as r; r.urlopen('{own.base_url}/control/instruments')",
        ],
        stderr=subprocess.DEVNULL,
    )
    time.sleep(0.5)
    began = time.monotonic()
    os.kill(own.pid, signal.SIGTERM)
    own.until(lambda: not _alive(own))
    assert time.monotonic() - began < 15
    waiting.kill()
    waiting.wait()


def _alive(own: SimulatedMyCirrus) -> bool:
    assert own._process is not None
    return own._process.poll() is None


def test_it_is_light(own: SimulatedMyCirrus) -> None:
    serial = own.serials()[0]
    Caller(own).rows("/data/noise/measurements", serial, "2026-10-01T00:00:00Z", "2026-10-08T00:00:00Z")
    status = Path(f"/proc/{own.pid}/status")
    if not status.exists():
        pytest.skip("no /proc on this system")
    resident = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 90_000


def test_a_taken_port_is_one_sentence(own: SimulatedMyCirrus) -> None:
    port = own.base_url.split(":")[2].split("/")[0]
    second = subprocess.run(
        [sys.executable, "-m", "simulator", "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert port in second.stderr


@pytest.mark.parametrize("flags", [["--fleet", "0"], ["--epoch", "soon"], ["--mood", "sulking"]])
def test_wrong_flags_are_said(flags: list[str]) -> None:
    wrong = subprocess.run(
        [sys.executable, "-m", "simulator", "--port", "0", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_what_is_not_history_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "a folder" / "state.json"
    wish = {"type": "NewEvent", "url": "https://example.com/hook"}
    # Without an epoch the day of the first start is kept, or history would change overnight.
    with SimulatedMyCirrus("--state", str(file), epoch=None) as first:
        api, serial = Caller(first), first.facts()["demo"]
        api("PUT", f"/control/instruments/{serial}", json={"name": "Renamed"})
        hook = api("POST", "/webhooks", json={**wish, "instrument": serial}).json()
        first.add_key("kept", scopes=["instruments:read"])
        first.revoke_key(first.key)
        first.run_sic()
        sic = first.until(lambda: _failed_sic(first, serial))
        facts = first.facts()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    json.loads(file.read_text())
    with SimulatedMyCirrus("--state", str(file), epoch=None) as second:
        kept = Caller(second, key="kept")
        assert kept.get(f"/control/instruments/{serial}").json()["name"] == "Renamed"
        assert kept.get(f"/control/instruments/{serial}/sic").json() == sic
        assert kept.get("/webhooks").status_code == 403
        assert Caller(second).get("/control/instruments").status_code == 401
        second.add_key(second.key)
        assert Caller(second).get("/webhooks").json() == [hook]
        assert second.facts()["epoch"] == facts["epoch"]


def _failed_sic(simulated: SimulatedMyCirrus, serial: str) -> dict | None:
    simulated.add_key("watcher")
    sic = Caller(simulated, key="watcher").get(f"/control/instruments/{serial}/sic").json()
    return sic if sic["status"] == "Failed" else None


def test_the_demo_sic_fails_after_a_while() -> None:
    with SimulatedMyCirrus("--demo-sic-after", "0.1", epoch=SimulatedMyCirrus.past) as simulated:
        serial = simulated.facts()["demo"]
        sic = simulated.until(lambda: _failed_sic(simulated, serial))
        assert sic["_8KHz"] < 70


def test_requests_are_remembered_without_keys(own: SimulatedMyCirrus) -> None:
    api = Caller(own)
    api.get("/control/instruments", {"a": ["1", "2"]})
    api.get("/nowhere")
    log = own.requests()
    assert log["counts"] == {"getinstruments": 1, "nowhere": 1}
    assert log["recent"][0]["query"] == [["a", "1"], ["a", "2"]]
    assert log["recent"][0]["key"] == own.key[-4:]
    assert own.key not in json.dumps(log)
    own.forget_requests()
    assert own.requests()["total"] == 0


def test_audio_has_the_length_of_its_recording_in_each_format(api: Caller, serial: str) -> None:
    row = api.rows("/data/audio", serial, "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")[0]
    seconds = (
        int(row["endTime"][17:19])
        - int(row["startTime"][17:19])
        + 60 * (int(row["endTime"][14:16]) - int(row["startTime"][14:16]))
    )
    bodies = {
        form: api.get(f"/data/audio/{row['id']}", {"format": form}).content for form in ("WAV", "OGG", "AAC")
    }
    bodies["FLAC"] = api.get(f"/data/audio/{row['id']}").content
    with wave.open(BytesIO(bodies["WAV"])) as file:
        rate, frames = file.getframerate(), file.getnframes()
        samples = file.readframes(frames)
    assert frames == seconds * rate
    assert max(struct.unpack(f"<{frames}h", samples)) > 2000
    # STREAMINFO of FLAC: 36 bits of sample count at the end of the 8 bytes that also hold the rate.
    assert bodies["FLAC"][:4] == b"fLaC"
    packed = int.from_bytes(bodies["FLAC"][18:26], "big")
    assert (packed >> 44, packed & (1 << 36) - 1) == (rate, frames)
    assert bodies["OGG"].startswith(b"OggS")
    assert bodies["AAC"].startswith(b"\xff\xf1")
    assert api.get(f"/data/audio/{row['id']}", {"format": "MP3"}).status_code == 400
