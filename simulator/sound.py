"""The sound of an event as an audio file, made with the standard library alone; README.md says how true each is."""

import io
import random
import wave
from array import array
from functools import lru_cache
from zlib import crc32

from simulator.chance import mixed
from simulator.events import Event
from simulator.fleet import Instrument

FORMATS = ("FLAC", "WAV", "AAC", "OGG")
RATE = 8000
_FRAME = 4000  # samples in a FLAC frame
_AAC_FRAME = 1024


@lru_cache(maxsize=8)
def sound(instrument: Instrument, event: Event, before: int, after: int, form: str) -> bytes:
    """One recording: noise that swells with the event. AAC is silence of the right length."""
    seconds = event.end - event.start + before + after
    if form == "AAC":
        return _aac(seconds)
    samples = _samples(instrument, event, before, seconds)
    if form == "WAV":
        return _wav(samples)
    return _ogg(samples) if form == "OGG" else _flac(samples)


def _samples(instrument: Instrument, event: Event, before: int, seconds: int) -> "array[int]":
    chance = random.Random(mixed(instrument.salt, event.start, 801))
    tile, low = [], 0.0
    for _ in range(RATE):
        low = 0.86 * low + 0.14 * (chance.random() - 0.5)
        tile.append(low)
    out: array[int] = array("h")
    length = event.end - event.start
    for second in range(seconds):
        inside = before <= second < before + length
        swell = min(second - before + 1, before + length - second, 4) / 4 if inside else 0.0
        gain = 1500 + 42_000 * swell
        out.extend(int(x * gain) for x in tile)
    return out


def _wav(samples: "array[int]") -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return file.getvalue()


# FLAC with verbatim subframes: not small, but every player plays it.


def _stream_info(count: int) -> bytes:
    info = _FRAME.to_bytes(2, "big") * 2 + bytes(6)
    # 20 bits of rate, 3 of channels less one, 5 of bits less one, 36 of samples; then no MD5.
    return info + ((RATE << 44) | (15 << 36) | count).to_bytes(8, "big") + bytes(16)


def _frames(samples: "array[int]") -> list[bytes]:
    swapped = array("h", samples)
    swapped.byteswap()
    raw = swapped.tobytes()
    frames = []
    for number, at in enumerate(range(0, len(samples), _FRAME)):
        block = raw[2 * at : 2 * (at + _FRAME)]
        # Sync, block size in 16 bits, rate 8 kHz, one channel of 16 bits, frame number as in UTF-8.
        header = b"\xff\xf8\x74\x08" + chr(number).encode() + (len(block) // 2 - 1).to_bytes(2, "big")
        body = header + bytes((_crc(header, 8, 0x07),)) + b"\x02" + block
        frames.append(body + _crc(body, 16, 0x8005).to_bytes(2, "big"))
    return frames


def _flac(samples: "array[int]") -> bytes:
    info = _stream_info(len(samples))
    return b"fLaC" + b"\x80" + len(info).to_bytes(3, "big") + info + b"".join(_frames(samples))


@lru_cache(maxsize=4)
def _crc_table(width: int, polynomial: int) -> list[int]:
    top, mask, table = 1 << (width - 1), (1 << width) - 1, []
    for byte in range(256):
        value = byte << (width - 8)
        for _ in range(8):
            value = ((value << 1) ^ (polynomial if value & top else 0)) & mask
        table.append(value)
    return table


def _crc(data: bytes, width: int, polynomial: int) -> int:
    table, mask, shift, value = _crc_table(width, polynomial), (1 << width) - 1, width - 8, 0
    for byte in data:
        value = ((value << 8) & mask) ^ table[(value >> shift) ^ byte]
    return value


# Ogg around the same FLAC frames: one page for each packet.


def _ogg(samples: "array[int]") -> bytes:
    info = _stream_info(len(samples))
    # The mapping of FLAC into Ogg 1.0: one further header packet, then the native marker and the stream info.
    first = b"\x7fFLAC\x01\x00\x00\x01fLaC" + b"\x00" + len(info).to_bytes(3, "big") + info
    vendor = b"simulator"
    comment = len(vendor).to_bytes(4, "little") + vendor + bytes(4)
    second = b"\x84" + len(comment).to_bytes(3, "big") + comment
    packets = [(first, 0), (second, 0)]
    for number, frame in enumerate(_frames(samples)):
        packets.append((frame, min((number + 1) * _FRAME, len(samples))))
    last = len(packets) - 1
    return b"".join(
        _page(packet, done, number, 2 if number == 0 else 4 if number == last else 0)
        for number, (packet, done) in enumerate(packets)
    )


def _page(packet: bytes, done: int, number: int, flags: int) -> bytes:
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = b"OggS\x00" + bytes((flags,)) + done.to_bytes(8, "little") + b"simu" + number.to_bytes(4, "little")
    tail = bytes((len(lacing),)) + lacing + packet
    return head + _ogg_crc(head + bytes(4) + tail).to_bytes(4, "little") + tail


_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _ogg_crc(data: bytes) -> int:
    """Ogg's CRC-32 is zlib's with the bits of every byte turned round and no inversion at either end."""
    reflected = crc32(data.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


def _aac(seconds: int) -> bytes:
    """ADTS frames of a silent mono channel: this library has no encoder."""
    payload = b"\x00\xc8\x00\x80\x23\x80"
    length = len(payload) + 7
    # AAC-LC, 8 kHz (index 11), one channel, no CRC, buffer fullness "variable".
    header = (0xFFF1 << 40) | (1 << 38) | (11 << 34) | (1 << 30) | (length << 13) | (0x7FF << 2)
    frame = header.to_bytes(7, "big") + payload
    return frame * -(-seconds * RATE // _AAC_FRAME)
