"""What MyCirrus sent and is not understood here: kept as it came, to be told and looked at."""

from django.db import models

from instruments.models import Instrument
from instruments.tenancy import OrgOwned


class UnreadRow(OrgOwned):
    """One document that stood among the rows of an instrument: of a form that is not known, or another's.

    Without an ``instrument`` it stood in a list of them and named none.
    """

    instrument = models.ForeignKey(
        Instrument, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    resource = models.CharField(max_length=16)
    # Of the document, so that one that comes again is one.
    sha256 = models.CharField(max_length=64)
    # As JSON; a text, for a database may refuse what JSON can say.
    document = models.TextField()
    found_at = models.DateTimeField()

    class Meta:
        ordering = ["-found_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "instrument", "resource", "sha256"], name="unread_row_once"
            ),
            # To a database no two rows without an instrument are the same.
            models.UniqueConstraint(
                fields=["organisation", "resource", "sha256"],
                condition=models.Q(instrument=None),
                name="unread_row_of_none_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} of {self.instrument_id}, found {self.found_at:%Y-%m-%d %H:%M}Z"
