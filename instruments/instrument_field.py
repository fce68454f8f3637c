"""A form's field in which an instrument is found by name or serial number, however many there are."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from instruments.models import Instrument

# Offered by the browser while typing; of more, a page would be heavy and a list of no use.
OFFERED = 200
# Named where a text fits several.
NAMED = 8


class _Offering(forms.TextInput):
    """A text input that brings the instruments of a small fleet along as suggestions; it needs no JavaScript."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        offered = list(
            Instrument.objects.present()
            .order_by("name", "serial")
            .values_list("serial", "name")[: OFFERED + 1]
        )
        if len(offered) > OFFERED:
            return super().render(name, value, attrs, renderer)
        field = super().render(name, value, {**(attrs or {}), "list": f"{name}-offered"}, renderer)
        options = format_html_join("", '<option value="{}">{}</option>', offered)
        return format_html('{}<datalist id="{}-offered">{}</datalist>', field, name, options)


class InstrumentField(forms.CharField):
    """Cleans to the instrument of this serial number, or the only one that has the text in its name or number."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", gettext_lazy("Instrument"))
        kwargs.setdefault("help_text", gettext_lazy("Its serial number, or enough of its name."))
        attributes = {"autocomplete": "off", "spellcheck": "false"}
        super().__init__(max_length=200, widget=_Offering(attrs=attributes), **kwargs)

    def clean(self, value: Any) -> Any:
        text: str = super().clean(value)
        if not text:
            return None
        exact = Instrument.objects.filter(serial__iexact=text).first()
        if exact is not None:
            return exact
        present = Instrument.objects.present().order_by("name", "serial")
        found = list(present.filter(Q(name__icontains=text) | Q(serial__icontains=text))[: NAMED + 1])
        if len(found) == 1:
            return found[0]
        if not found:
            raise ValidationError(_("No instrument has this in its name or serial number."), code="none")
        named = ", ".join(
            f"{each.name} ({each.serial})" if each.name else each.serial for each in found[:NAMED]
        )
        more = " …" if len(found) > NAMED else ""
        raise ValidationError(
            _("Several fit; write the serial number of one: %(named)s") % {"named": named + more},
            code="several",
        )
