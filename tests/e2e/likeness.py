"""How like two pictures of a page are to the eye: blurred, then compared patch by patch. It takes no picture itself.

Where a letter's edge falls differs between machines and versions of a browser. A box that moved, grew, lost its colour
or is not there any more does not hide behind a blur.
"""

from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter

# A patch of so many pixels of the reduced picture is other when its mean differs by more than this, of 255.
PATCH, OTHER = 8, 18
BLUR = 1.5
# A page may have so many other patches, and this part of it: an arrow that a browser draws its own way, not a button.
FEW, PART = 10, 0.001
# What is further down is more of the same: charts, rows.
TALLEST = 2000


@dataclass(frozen=True, slots=True)
class Likeness:
    """How many patches are other, how many there are, and a picture in which the others are red."""

    other: int
    patches: int
    difference: Image.Image

    @property
    def is_close(self) -> bool:
        """Whether a person would take them for the same page."""
        return self.other <= FEW + PART * self.patches


def reduced(picture: Image.Image) -> Image.Image:
    """As approved pictures are kept: half as wide and high, and no longer than `TALLEST`."""
    small = picture.convert("RGB").reduce(2)
    return small.crop((0, 0, small.width, min(small.height, TALLEST)))


def kept(picture: Image.Image) -> Image.Image:
    """A reduced picture in 64 colours: a comparison does not notice, a repository does."""
    # Not the median cut, which takes the colour from thin lines.
    return picture.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def compare(ours: Image.Image, approved: Image.Image) -> Likeness:
    """Two reduced pictures; where one is longer the rest of it is other."""
    width, height = max(ours.width, approved.width), max(ours.height, approved.height)
    soft = [_soft(each, width, height) for each in (ours, approved)]
    # The strongest of the three colours: red for green at the same brightness is another picture, too.
    red, green, blue = ImageChops.difference(*soft).split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    patches = strongest.reduce(PATCH).point(lambda value: 255 if value > OTHER else 0)
    marked = ours.convert("RGB").convert("L").convert("RGB")
    tint = patches.resize((patches.width * PATCH, patches.height * PATCH), Image.Resampling.NEAREST)
    tint = tint.crop((0, 0, *marked.size)).point(lambda value: value // 2)
    marked.paste((220, 0, 40), mask=tint)
    return Likeness(patches.histogram()[255], patches.width * patches.height, marked)


def _soft(picture: Image.Image, width: int, height: int) -> Image.Image:
    canvas = Image.new("RGB", (width, height), (255, 0, 255))
    canvas.paste(picture.convert("RGB"))
    return canvas.filter(ImageFilter.GaussianBlur(BLUR))
