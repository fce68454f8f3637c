"""What a tile and a row of the fleet's table say of an instrument, each piece as markup; it asks nothing.

Written here and not in templates: a page has hundreds of these pieces, and as includes they cost ten times as much.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote

from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from cirrusweb.templatetags.ages import ago, on
from cirrusweb.templatetags.heroicons import icon
from monitoring.conditions import LOOKS
from monitoring.day_lines import HEIGHT, QUARTERS, day_line
from monitoring.day_quantities import QUANTITIES
from monitoring.models import InstrumentStatus
from monitoring.status import State
from monitoring.templatetags.levels import period, signed, written
from monitoring.tiles import Tile

NOTHING = InstrumentStatus()


def reading(value: float | None, unit: str = "dB", places: int = 1) -> SafeString:
    """A number with its unit; a gap for None, never zero."""
    return _gap(get_language()) if value is None else _reading(value, unit, places, get_language())


@cache
def _gap(language: str | None) -> SafeString:
    return format_html(
        '<span class="none" title="{}"><span aria-hidden="true">–</span>'
        '<span class="visually-hidden">{}</span></span>',
        _("No value"),
        _("no value"),
    )


@lru_cache(maxsize=20_000)
def _reading(value: float, unit: str, places: int, language: str | None) -> SafeString:
    return format_html(
        '<span class="reading">{}<span class="unit">{}</span></span>', written(value, places), unit
    )


def badge(tile: Tile) -> SafeString:
    """Its state: colour, icon and word."""
    return _badge(tile.state, get_language())


@cache
def _badge(state: State, language: str | None) -> SafeString:
    look = LOOKS[state]
    return format_html('<span class="badge tone-{}">{}{}</span>', look.tone, icon(look.icon), look.word)


def why(tile: Tile) -> SafeString:
    """Why it stands so and since when; of one that is well, how old its newest level is."""
    condition, parts = tile.condition, []
    if condition.reason:
        parts.append(escape(condition.reason))
    since = condition.since_at or (None if condition.reason else tile.level_end_at)
    if since is not None:
        parts.append(ago(since))
    return SafeString(" ".join(parts))


def besides(tile: Tile) -> SafeString:
    """What a failed SIC hides, and how old the level shown is where nothing else says so; nothing most of the time."""
    parts, told = [], tile.level_end_at
    look, condition = tile.hidden_look, tile.hidden_condition
    if look is not None and condition is not None:
        since = f" {ago(condition.since_at)}" if condition.since_at is not None else ""
        parts.append(f"{escape(look.word)}. {escape(condition.reason)}{since}")
        told = None if condition.since_at == told else told
    elif tile.condition.since_at == told or not tile.condition.reason:
        told = None
    if told is not None and tile.state != State.GONE:
        parts.append(f"{_level_word(get_language())} {ago(told)}")
    return SafeString(" · ".join(parts))


@cache
def _level_word(language: str | None) -> str:
    return escape(_("Last level:"))


@cache
def _failed(language: str | None) -> SafeString:
    return format_html('<span class="word-bad">{}</span>', _("failed"))


def sic(tile: Tile) -> SafeString:
    """The last SIC: its age and, when it failed, that."""
    present = tile.present or NOTHING
    if present.sic_at is None:
        return reading(None)
    told = ago(present.sic_at)
    if present.sic_passed is False:
        return SafeString(f"{_failed(get_language())} {told}")
    if present.sic_passed is None and present.sic_status:
        return format_html('{} <span class="quiet">{}</span>', told, present.sic_status)
    return told


def calibration(tile: Tile) -> SafeString:
    """The last calibration: its day, its offset and, when it failed, that."""
    present = tile.present or NOTHING
    if present.calibrated_at is None:
        return reading(None)
    told = on(present.calibrated_at)
    if tile.calibration_passed is False:
        told = SafeString(f"{_failed(get_language())} {told}")
    if present.calibration_offset is None:
        return told
    return SafeString(f'{told} <span class="nowrap quiet">{signed(present.calibration_offset)} {"dB"}</span>')


def spark(tile: Tile, now: datetime) -> SafeString:
    """The last day as a line on a scale that all monitors share; nothing where nothing was measured.

    Named where it is not what the tile shows large: of all else the name would be said twice.
    """
    present = tile.present
    quantity = QUANTITIES.get(present.day_quantity) if present is not None else None
    if present is None or quantity is None:
        return SafeString("")
    line = day_line(present.day_values, present.day_at, now, quantity.scale)
    if line is None:
        return SafeString("")
    label, named = _spark_words(
        present.day_quantity, line.lowest, line.highest, line.measured, get_language()
    )
    return SafeString(
        f'<svg class="spark" viewBox="{line.left} 0 {QUARTERS} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}"><path d="{line.path}"/></svg>'
        f"{'' if present.day_quantity == tile.main_reading else named}"
    )


@lru_cache(maxsize=20_000)
def _spark_words(
    name: str, lowest: float, highest: float, measured: int, language: str | None
) -> tuple[str, str]:
    """What is read aloud, and what is shown where the quantity has to be named."""
    quantity = QUANTITIES[name]
    told = {
        "quantity": quantity.words,
        "lowest": written(lowest, quantity.scale.places),
        "highest": written(highest, quantity.scale.places),
        "unit": quantity.unit,
        "measured": measured,
        "all": QUARTERS,
    }
    label = _(
        "Last 24 hours: %(quantity)s of quarter hours from %(lowest)s to %(highest)s %(unit)s, "
        "%(measured)s of %(all)s measured"
    )
    return escape(
        label % told
    ), f'<span class="sub tile-sub">{escape(quantity.label)}, {escape(quantity.unit)}</span>'


def figure(tile: Tile) -> tuple[SafeString, str]:
    """The one value that a tile shows large, and its name; nothing for a kind that is only watched."""
    present = tile.present or NOTHING
    if tile.instrument.measures_noise:
        return reading(present.LAeq), _laeq(present.level_seconds)
    if not tile.readings:
        return SafeString(""), ""
    first = tile.readings[0]
    name = f"{first.name}, {period(present.latest_seconds)}" if present.latest_seconds else first.name
    return reading(first.value, first.unit, first.places), name


def facts(tile: Tile) -> SafeString:
    """The lines at a tile's foot."""
    present, words = tile.present or NOTHING, _fact_words(get_language())
    if tile.instrument.measures_noise:
        told = [
            ("LAF,max", reading(present.LAFMax)),
            (words["SIC"], _failed(get_language()) if present.sic_passed is False else sic(tile)),
            (words["Calibration"], calibration(tile)),
        ]
    else:
        told = [(each.name, reading(each.value, each.unit, each.places)) for each in tile.readings[1:]]
        if tile.readings:
            measured = ago(tile.reading_end_at) if tile.reading_end_at is not None else reading(None)
            told += [(words["Measured"], measured), (words["Type"], _text(tile.instrument.type_label))]
    return SafeString("".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in told))


@cache
def _fact_words(language: str | None) -> dict[str, SafeString]:
    words = {"Calibration": _("Calibration"), "Measured": _("Measured"), "Type": _("Type")}
    spelt = format_html('<abbr title="{}">{}</abbr>', _("System Integrity Check"), _("SIC"))
    return {"SIC": spelt, **{name: escape(word) for name, word in words.items()}}


def _text(text: str) -> SafeString:
    return escape(text) if text else reading(None)


# --- The columns of the table -------------------------------------------------------------------------------------


def _state(tile: Tile, now: datetime) -> SafeString:
    condition, hidden = tile.condition, besides(tile) if tile.hidden else ""
    more = f'<span class="sub">{hidden}</span>' if hidden else ""
    if condition.since_at is None:
        return SafeString(f"{badge(tile)}{more}")
    return SafeString(
        f'{badge(tile)}<span class="sub">{escape(condition.reason)} {ago(condition.since_at)}</span>{more}'
    )


def _aged(tile: Tile, value: SafeString) -> SafeString:
    old = "" if tile.level_is_current else ' class="is-old"'
    return SafeString(f"<div{old}{_old_from(tile)}>{value}</div>")


def _old_from(tile: Tile) -> str:
    # For the page that stays open: app.js then does what is done here for a page that is loaded.
    return f' data-old-from="{tile.current_until.isoformat()}"' if tile.current_until is not None else ""


def _level(tile: Tile, now: datetime) -> SafeString:
    present = tile.present or NOTHING
    if not tile.instrument.measures_noise:
        if not tile.readings:
            return SafeString(f'<span class="quiet">{_("status only")}</span>')
        values = " · ".join(
            f"{each.name}\N{NO-BREAK SPACE}{reading(each.value, each.unit, each.places)}"
            for each in tile.readings
        )
        return _aged(tile, SafeString(values + _when(period(present.latest_seconds), tile.reading_end_at)))
    of = _laeq(present.level_seconds)
    return _aged(tile, SafeString(reading(present.LAeq) + _when(of, tile.level_end_at)))


def _laeq(seconds: int | None) -> str:
    return f"LAeq,{period(seconds)}".rstrip(",")


def _when(of: str, at: datetime | None) -> str:
    if at is None:
        return ""
    return f'<span class="sub">{of} · {ago(at)}</span>' if of else f'<span class="sub">{ago(at)}</span>'


def _noise(value: Callable[[Tile], SafeString]) -> Callable[[Tile, datetime], SafeString]:
    """Of a monitor that measures something else there is no such value, which is not the same as a gap."""
    return lambda tile, now: value(tile) if tile.instrument.measures_noise else SafeString("")


def _model(tile: Tile, now: datetime) -> SafeString:
    return _text(tile.instrument.model)


def _subscription(tile: Tile, now: datetime) -> SafeString:
    instrument = tile.instrument
    return _text(
        " · ".join(part for part in (instrument.subscription_status, instrument.subscription_tier) if part)
    )


def _features(tile: Tile, now: datetime) -> SafeString:
    return _text(", ".join(str(feature) for feature in tile.instrument.features))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table that can be chosen. ``sort``: by which sort it is ordered, and whether downwards."""

    key: str
    words: Any
    cell: Callable[[Tile, datetime], SafeString]
    numeric: bool = False
    sort: str = ""
    falling: bool = False


COLUMNS = (
    Column("state", gettext_lazy("State"), _state, sort="state"),
    Column("level", gettext_lazy("Newest level"), _level, numeric=True, sort="level", falling=True),
    Column("day", gettext_lazy("Last 24 hours"), spark),
    Column("max", "LAF,max", _noise(lambda tile: reading((tile.present or NOTHING).LAFMax)), numeric=True),
    Column("peak", "LC,peak", _noise(lambda tile: reading((tile.present or NOTHING).LCPeak)), numeric=True),
    Column("sic", gettext_lazy("Last SIC"), _noise(sic)),
    Column("calibration", gettext_lazy("Last calibration"), _noise(calibration)),
    Column("type", gettext_lazy("Type"), lambda tile, now: _text(tile.instrument.type_label), sort="type"),
    Column("model", gettext_lazy("Model"), _model),
    Column("subscription", gettext_lazy("Subscription"), _subscription),
    Column("features", gettext_lazy("Features"), _features),
)
DEFAULT_COLUMNS = ("state", "level", "day", "max", "sic", "calibration", "type")


def columns_of(keys: list[str] | None) -> list[Column]:
    """The columns that somebody chose, in the one order; the usual ones where nothing was chosen."""
    chosen = set(keys if keys is not None else DEFAULT_COLUMNS)
    return [column for column in COLUMNS if column.key in chosen]


def tile_markup(tile: Tile, *, slug: str, now: datetime) -> SafeString:
    """One instrument as a tile: how it stands, how loud it is and was, whether its checks hold."""
    instrument, look = tile.instrument, tile.look
    css = (
        f" tone-{look.tone} is-wrong"
        if look.needs_attention
        else " tone-muted"
        if look.tone == "muted"
        else ""
    )
    if tile.state == State.GONE:
        css += " is-gone"
    model = f" · {escape(instrument.model)}" if instrument.model else ""
    value, name = figure(tile)
    side, day, foot = "", spark(tile, now), facts(tile)
    if value:
        side = (
            f'<div class="tile-side{"" if tile.level_is_current else " is-old"}"{_old_from(tile)}>'
            f'<p class="tile-level">{value}</p><p class="tile-sub">{escape(name)}</p></div>'
        )
    more = besides(tile)
    if more:
        more = SafeString(f'<p class="tile-sub tile-besides">{more}</p>')
    if day:
        day = SafeString(f'<p class="tile-day">{day}</p>')
    if foot:
        foot = SafeString(f'<dl class="tile-facts">{foot}</dl>')
    else:
        told = escape(instrument.type_label) + ("" if day else f" · {_('status only')}")
        foot = SafeString(f'<p class="tile-sub tile-foot">{told}</p>')
    return SafeString(
        f'<article class="tile{css}"><div class="tile-top"><div>'
        f'<h3 class="tile-name"><a class="stretch" href="{href_of(tile, slug)}">'
        f"{escape(instrument.name or instrument.serial)}</a></h3>"
        f'<p class="tile-sub"><span class="serial">{escape(instrument.serial)}</span>{model}</p></div>{side}</div>'
        f'<p class="tile-state">{badge(tile)} <span>{why(tile)}</span></p>{more}{day}{foot}</article>'
    )


def row_markup(
    tile: Tile, columns: list[Column], *, slug: str, now: datetime, choosable: bool = False
) -> SafeString:
    """One instrument as a row of the table with these columns, and a box to choose it by."""
    instrument, look = tile.instrument, tile.look
    name, serial = escape(instrument.name or instrument.serial), escape(instrument.serial)
    css = f"is-{look.tone}" if look.needs_attention else "is-muted" if tile.state == State.GONE else ""
    box = ""
    if choosable:
        label = escape(_("Choose %(name)s") % {"name": instrument.name or instrument.serial})
        box = (
            f'<td class="choose"><input type="checkbox" name="chosen" value="{serial}" form="fleet-deed" '
            f'aria-label="{label}"></td>'
        )
    cells = "".join(_cell(column, column.cell(tile, now)) for column in columns)
    return SafeString(
        f'<tr class="{css}">{box}<th scope="row"><a href="{href_of(tile, slug)}">{name}</a>'
        f'<span class="sub serial">{serial}</span></th>{cells}</tr>'
    )


def _cell(column: Column, content: SafeString) -> str:
    # Left empty altogether where there is no such value: on a phone the row then goes without it.
    inside = f"<div>{content}</div>" if content else ""
    return f'<td class="{"num" if column.numeric else ""}" data-label="{escape(column.words)}">{inside}</td>'


def href_of(tile: Tile, slug: str) -> str:
    """The instrument's own page. Django's resolver is asked once: it takes longer than all else of a tile."""
    return _page_of(slug).replace("SERIAL", quote(tile.instrument.serial, safe=""))


@lru_cache(maxsize=1_000)
def _page_of(slug: str) -> str:
    return reverse("monitoring:instrument", kwargs={"slug": slug, "serial": "SERIAL"})
