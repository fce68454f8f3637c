"""A site's photo: known for a picture by decoding it, drawn small and anew, kept below DATA_DIR.

Nothing of the upload itself is stored: what is kept is drawn anew from its pixels, so no metadata and no hidden content
come with it. Its file is written before the row names it and removed after the row no longer does.
"""

import io
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from PIL import Image, ImageOps

from instruments.activity import activity_note
from instruments.models import Organisation, Site, User

MOST_BYTES = 15 * 1024 * 1024
# Above what any phone takes; a small file can claim to be a picture that fills the memory.
MOST_PIXELS = 110_000_000
LONGEST_SIDE = 1600
_FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture as it is kept: JPEG, upright, no metadata."""

    content: bytes
    width: int
    height: int


def photo_of(upload: IO[bytes], size: int) -> Photo:
    """The picture in an upload of ``size`` bytes. Raises ValidationError for what is too large or no picture."""
    if size > MOST_BYTES:
        raise ValidationError(
            _("That file has more than %(most)s MB. Send a smaller one.") % {"most": MOST_BYTES // 1024**2}
        )
    try:
        with Image.open(upload, formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValidationError(_("That picture has too many pixels. Send a smaller one."))
            # Lets a JPEG be decoded at a fraction of its size.
            image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            drawn = Image.new("RGB", upright.size, "white")
            drawn.paste(upright.convert("RGBA"), mask=upright.convert("RGBA").getchannel("A"))
    except ValidationError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # Pillow's own words for a broken file are of no use to whoever sent it.
        raise ValidationError(_("That file is no JPEG, PNG or WebP picture that can be read.")) from None
    kept = io.BytesIO()
    drawn.save(kept, "JPEG", quality=82, optimize=True)
    return Photo(kept.getvalue(), drawn.width, drawn.height)


def photo_path(site: Site) -> Path | None:
    """Where the file of a site's photo is; None without one."""
    return _folder(site.organisation_id) / site.photo if site.photo else None


def site_photo_set(*, site: Site, photo: Photo | None, actor: User) -> None:
    """Give ``site`` this photo in place of its present one; None takes it away."""
    before = photo_path(site)
    name = _write(site.organisation_id, photo.content) if photo else ""
    with transaction.atomic():
        site.photo = name
        site.photo_width = photo.width if photo else None
        site.photo_height = photo.height if photo else None
        site.save(update_fields=["photo", "photo_width", "photo_height"])
        activity_note(
            organisation=site.organisation,
            actor=actor,
            verb="site_photo_set" if photo else "site_photo_removed",
            subject=site.name,
        )
        if before is not None:
            transaction.on_commit(lambda: before.unlink(missing_ok=True))


def organisation_gone(instance: Organisation, **_: object) -> None:
    """Take the photos of an organisation away once it is deleted for good."""
    folder = _folder(instance.pk)
    transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))


def _folder(organisation_id: int) -> Path:
    return Path(settings.DATA_DIR) / "photos" / str(organisation_id)


def _write(organisation_id: int, content: bytes) -> str:
    """A new file with ``content``; its name. Killed in between, a file is left that no row names, and no harm done."""
    folder = _folder(organisation_id)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A name that is never used again: browsers may keep what it stands for.
    name = f"{secrets.token_hex(12)}.jpg"
    with open(folder / name, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return name
