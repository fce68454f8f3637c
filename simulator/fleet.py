"""Who is in the fleet: instruments, their places and their characters, from a seed; nothing here changes in time."""

from dataclasses import dataclass
from typing import Any

from simulator.chance import mixed, salt_of, signed, unit
from simulator.wire import DAY

# What an instrument is like. All but these are healthy.
FAILING_SIC = "failing-sic"  # its SIC fails each night since two nights before the epoch
DRIFTING = "drifting"  # calibration offset and 8 kHz level creep towards the tolerance
OFFLINE = "offline"  # gone since some hours before the epoch
FLAPPING = "flapping"  # on and off every few minutes
WEAK_SIM = "weak-sim"  # poor signal, SIM nearly used up
HEALTHY = "healthy"

NOISE, AIR_QUALITY, VIBRATION = "Noise", "AirQuality", "Vibration"

# name, type, kind of site, character
_CAST: tuple[tuple[str, str, str, str], ...] = (
    ("Harbour Wall", NOISE, "harbour", HEALTHY),
    ("Crane 4 North", NOISE, "works", FAILING_SIC),
    ("School Lane", NOISE, "school", FLAPPING),
    ("Ring Road East", NOISE, "road", DRIFTING),
    ("Quarry Gate", NOISE, "works", OFFLINE),
    ("Mill Bridge", NOISE, "town", WEAK_SIM),
    ("Market Square", AIR_QUALITY, "town", HEALTHY),
    ("Tunnel Portal South", VIBRATION, "works", HEALTHY),
    ("Airfield Perimeter", NOISE, "road", HEALTHY),
    ("Depot Yard", NOISE, "works", HEALTHY),
    ("Hospital Courtyard", NOISE, "town", HEALTHY),
    ("Station Forecourt", AIR_QUALITY, "road", HEALTHY),
)
_THIN_ROW, _EXPIRED = 10, 9  # members of the cast with a thin list row and with an expired subscription
_DEMO = 8  # the healthy unit whose SIC fails on request
_PLACES = ((53.744, -0.332), (51.449, -2.598), (54.283, -0.399), (52.954, -1.149), (50.719, -1.880))


@dataclass(frozen=True, eq=False, slots=True)
class Instrument:
    """One instrument. `period` and `step` are seconds, `installed` is seconds since 1970."""

    index: int
    serial: str
    type: str
    model: str
    name: str
    site: str
    character: str
    latitude: float
    longitude: float
    status: str
    tier: str
    addons: tuple[str, ...]
    feature: tuple[str, ...]
    thin: bool
    salt: int
    region: int
    period: int
    step: float
    utc_offset: int
    installed: int
    epoch: int

    @property
    def is_noise(self) -> bool:
        return self.type == NOISE

    @property
    def step_ms(self) -> int:
        return round(self.step * 1000)

    @property
    def steady(self) -> bool:
        """Whether its power holds from the day before the epoch on, so that a demonstration can lean on it."""
        return self.index in (0, _DEMO) or self.character == FAILING_SIC

    @property
    def has_weather(self) -> bool:
        return "Weather" in self.feature

    @property
    def has_sic(self) -> bool:
        return "SIC" in self.feature

    @property
    def has_audio(self) -> bool:
        return "Audio" in self.addons

    def document(self, name: str | None = None) -> dict[str, Any]:
        """The instrument as the single read gives it."""
        return {
            "type": self.type,
            "serialNumber": self.serial,
            "model": self.model,
            "name": name or self.name,
            "image": f"https://images.mycirrus.cloud/{self.model.replace(':', '').lower()}.jpg",
            "subscription": {"status": self.status, "tier": self.tier, "addons": list(self.addons)},
            "position": {"latitude": self.latitude, "longitude": self.longitude},
            "feature": list(self.feature),
        }

    def list_row(self, name: str | None = None) -> dict[str, Any]:
        """The instrument as the list gives it: a thin row has empty members."""
        row = self.document(name)
        if self.thin:
            row.update(subscription={}, position={}, feature=[])
        return row


def fleet_of(size: int, seed: int, epoch: int) -> list[Instrument]:
    """The first `size` instruments of this seed; a larger fleet begins with the smaller one."""
    world = salt_of("fleet", seed)
    return [_instrument(index, world, seed, epoch) for index in range(size)]


def demo_unit(fleet: list[Instrument]) -> Instrument | None:
    """The healthy noise unit that fails a SIC when asked to: the same one in each fleet of this size."""
    healthy = [i for i in fleet[: len(_CAST)] if i.is_noise and i.has_sic and i.character == HEALTHY]
    return next((i for i in healthy if i.index == _DEMO), healthy[0] if healthy else None)


def _instrument(index: int, world: int, seed: int, epoch: int) -> Instrument:
    name, kind, site, character = _CAST[index % len(_CAST)]
    turn = index // len(_CAST)
    salt = mixed(world, index)
    if turn:
        name = f"{name} {turn + 1}"
        character = _rare_character(salt)
    place = _PLACES[mixed(world, turn, 5) % len(_PLACES)]
    noise = kind == NOISE
    feature = _features(index, noise, salt)
    cast = turn == 0
    # Most were there two years before the epoch; a few came later, so that a back-fill finds a beginning.
    days_before = 760 if cast or unit(salt, 2) < 0.8 else 60 + mixed(salt, 3) % 400
    return Instrument(
        index=index,
        serial=_serial(index, kind, seed),
        type=kind,
        model=("CR:900" if unit(salt, 4) < 0.7 else "CR:950")
        if noise
        else ("AQ:110" if kind == AIR_QUALITY else "VB:8"),
        name=name,
        site=site,
        character=character if noise else HEALTHY,
        latitude=round(place[0] + signed(salt, 6) * 0.03, 5),
        longitude=round(place[1] + signed(salt, 7) * 0.05, 5),
        status="Expired" if cast and index == _EXPIRED else "Active",
        tier=("Pro" if unit(salt, 8) < 0.5 else "Standard") if noise else "Enviro",
        addons=("Audio",) if noise and (index == 0 or index == _DEMO or unit(salt, 9) < 0.4) else (),
        feature=feature,
        thin=index % 40 == _THIN_ROW,
        salt=salt,
        region=mixed(world, turn % 5, 10),
        period=_period(index, noise, salt),
        step=_step(index, noise),
        utc_offset=0,
        installed=epoch - days_before * DAY,
        epoch=epoch,
    )


def _features(index: int, noise: bool, salt: int) -> tuple[str, ...]:
    if not noise:
        return ("Modem",)
    return ("SIC", "Modem", "Weather") if index == 0 or unit(salt, 11) < 0.4 else ("SIC", "Modem")


def _step(index: int, noise: bool) -> float:
    # A tenth, an eighth ("Fast"), or a whole second.
    return {_DEMO: 0.1, 1: 0.125}.get(index % 12, 1.0) if noise else 1.0


def _period(index: int, noise: bool, salt: int) -> int:
    if not noise or index < 4:
        return 60
    return 900 if index == 9 else 300 if index == 10 or unit(salt, 12) < 0.1 else 60


def _rare_character(salt: int) -> str:
    lot = unit(salt, 13)
    for share, character in (
        (0.02, FAILING_SIC),
        (0.04, DRIFTING),
        (0.07, OFFLINE),
        (0.08, FLAPPING),
        (0.11, WEAK_SIM),
    ):
        if lot < share:
            return character
    return HEALTHY


def _serial(index: int, kind: str, seed: int) -> str:
    """Opaque, and never twice: a permutation of the index within each form."""
    number = (index * 7_919 + seed * 104_729 + 312_457) % 1_000_000
    if kind == NOISE:
        return f"QT{number:06}"
    letters = ""
    number = (index * 48_611 + seed * 7_907 + 90_001_777) % 26**6
    for _ in range(6):
        number, place = divmod(number, 26)
        letters += chr(65 + place)
    return letters
