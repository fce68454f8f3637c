"""Where the database keeps ciphertexts, so that checks, doctor and rotation look at the same ones; it decrypts none."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps

# allauth encrypts these members of an authenticator's data; `migrated_codes` is a list of them.
_SECRET_MEMBERS = ("secret", "seed")
_SECRET_LISTS = ("migrated_codes",)


@dataclass(frozen=True, slots=True)
class Column:
    """One column that holds ciphertexts: as its text, or as members of its JSON document."""

    model: Any
    name: str

    def rows(self) -> Any:
        """The rows that hold any, as (primary key, value). A revoked key has been forgotten: its column is empty."""
        kept = (
            self.model.objects.exclude(**{self.name: ""}) if self.name == "ciphertext" else self.model.objects
        )
        return kept.order_by("pk").values_list("pk", self.name)

    def ciphertexts(self, value: Any) -> list[str]:
        """Those in one row's ``value``."""
        if isinstance(value, str):
            return [value]
        alone = [value[name] for name in _SECRET_MEMBERS if name in value]
        return alone + [each for name in _SECRET_LISTS for each in value.get(name, ())]

    def renewed(self, value: Any, renew: Callable[[str], str]) -> Any:
        """``value`` with ``renew`` done to each of its ciphertexts and all else as it is."""
        if isinstance(value, str):
            return renew(value)
        known = {name: renew(value[name]) for name in _SECRET_MEMBERS if name in value}
        listed = {name: [renew(each) for each in value[name]] for name in _SECRET_LISTS if name in value}
        return {**value, **known, **listed}


def columns() -> Iterator[Column]:
    """Every column of the installation that holds ciphertexts."""
    for model in apps.get_models():
        if any(field.name == "ciphertext" for field in model._meta.local_fields):
            yield Column(model, "ciphertext")
    yield Column(Authenticator, "data")
