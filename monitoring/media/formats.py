"""What a sound file is, told by its first bytes: MyCirrus calls every one an octet-stream. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of sound file: its media type and the ending of its name."""

    media_type: str
    ending: str


FLAC = Format("audio/flac", "flac")
WAV = Format("audio/wav", "wav")
OGG = Format("audio/ogg", "ogg")
AAC = Format("audio/aac", "aac")
MP4 = Format("audio/mp4", "m4a")
# In MyCirrus' own words; the first is what it sends unless asked for another.
FORMATS = ("FLAC", "WAV", "AAC", "OGG")
BEGINNING = 16


def sound_format(beginning: bytes) -> Format | None:
    """The format of a file that starts with these (at least 12) bytes, None for what is no sound that we know."""
    if beginning[:4] == b"fLaC":
        return FLAC
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WAVE":
        return WAV
    if beginning[:4] == b"OggS":
        return OGG
    if beginning[4:8] == b"ftyp":
        return MP4
    # ADTS: twelve bits of sync, then the version bit (MPEG-4 or MPEG-2) and a layer that is always 0.
    if len(beginning) > 1 and beginning[0] == 0xFF and beginning[1] & 0xF6 == 0xF0:
        return AAC
    return None
