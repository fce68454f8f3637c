"""What the comparison of pictures notices, and what it lets by."""

from PIL import Image, ImageChops, ImageDraw

from tests.e2e.likeness import compare, kept, reduced


def page(*, button: str = "#0b7285", text_at: int = 40, height: int = 1200) -> Image.Image:
    """A heading, lines of text and a button."""
    image = Image.new("RGB", (780, height), "#f3f6f7")
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 760, 400), fill="#ffffff", outline="#c4ccd0")
    for line in range(12):
        draw.text((text_at, 60 + 24 * line), "Crane 4 North 54.2 dB measured a minute ago", fill="#223")
    draw.rectangle((40, 350, 240, 390), fill=button)
    return image


def test_itself_in_few_colours_is_close() -> None:
    ours = reduced(page())
    assert compare(ours, kept(ours).convert("RGB")).other == 0


def test_letters_that_lie_a_pixel_elsewhere_are_let_by() -> None:
    assert compare(reduced(page(text_at=41)), reduced(page())).is_close
    moved = ImageChops.offset(page(), 1, 1)
    assert compare(reduced(moved), reduced(page())).is_close


def test_a_button_that_lost_its_colour_is_noticed() -> None:
    found = compare(reduced(page(button="#ffffff")), reduced(page()))
    assert not found.is_close
    # It is shown where: the middle of the button is red, the middle of the text above it is not.
    red, green, _blue = found.difference.getpixel((70, 185))
    assert red > green + 60
    assert len(set(found.difference.getpixel((200, 90)))) == 1


def test_a_page_that_grew_is_noticed() -> None:
    assert not compare(reduced(page(height=1300)), reduced(page())).is_close
