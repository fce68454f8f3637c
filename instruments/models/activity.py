"""The organisation's log: who did what, when and why. Rows are written once and never changed."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments.tenancy import OrgOwned

from .people import User


class Activity(OrgOwned):
    """One thing that somebody did."""

    at = models.DateTimeField(_("time"))
    # Nobody: the installation itself did it.
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    # As they were called then: the log outlives the account.
    actor_name = models.CharField(_("who"), max_length=254, blank=True)
    # A code such as "key_added"; what it says in words is asked of instruments.activity.
    verb = models.CharField(_("what"), max_length=40)
    subject = models.CharField(_("about"), max_length=300)
    detail = models.CharField(_("detail"), max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "activities"
        ordering = ["-pk"]
        # Rows are only ever added at the end, so the key is the order of time and pages can continue below it.
        indexes = [models.Index(fields=["organisation", "-id"], name="activity_newest")]

    def __str__(self) -> str:
        return f"{self.verb}: {self.subject}"

    @property
    def words(self) -> str:
        """What was done, in words."""
        from instruments.activity import verb_words

        return verb_words(self.verb)
