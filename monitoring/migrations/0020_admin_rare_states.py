"""What the operator looks for among a million rows is found by an index."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0006_standing"),
        ("monitoring", "0019_chat_channels"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="alertdelivery",
            index=models.Index(
                condition=models.Q(
                    ("sent_at", None), models.Q(("failed_at", None), _negated=True), _connector="OR"
                ),
                fields=["-id"],
                name="alert_delivery_unsent",
            ),
        ),
        migrations.AddIndex(
            model_name="digest",
            index=models.Index(
                condition=models.Q(
                    ("sent_at", None), models.Q(("failed_at", None), _negated=True), _connector="OR"
                ),
                fields=["-id"],
                name="digest_unsent",
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(condition=models.Q(("closed_at", None)), fields=["-id"], name="incident_open"),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(fields=["kind", "-id"], name="incident_kind"),
        ),
        migrations.AddIndex(
            model_name="instrumentaction",
            index=models.Index(
                condition=models.Q(
                    ("state", "requested"),
                    ("state", "started"),
                    ("state", "in_progress"),
                    ("state", "failed"),
                    ("state", "unknown"),
                    _connector="OR",
                ),
                fields=["-id"],
                name="action_not_succeeded",
            ),
        ),
        migrations.AddIndex(
            model_name="synctarget",
            index=models.Index(
                condition=models.Q(
                    models.Q(("parked_at", None), _negated=True),
                    ("failures__gt", 0),
                    ("outcome", "transient"),
                    ("outcome", "rate_limited"),
                    ("outcome", "needs_attention"),
                    ("outcome", "bug"),
                    _connector="OR",
                ),
                fields=["-id"],
                name="sync_target_trouble",
            ),
        ),
        migrations.AddIndex(
            model_name="systemintegritycheck",
            index=models.Index(
                condition=models.Q(("passed", False), ("passed", None), _connector="OR"),
                fields=["-id"],
                name="sic_not_passed",
            ),
        ),
        migrations.AddIndex(
            model_name="timehistoryrequest",
            index=models.Index(
                condition=models.Q(
                    ("state", "open"), ("state", "failed"), ("state", "cancelled"), _connector="OR"
                ),
                fields=["-id"],
                name="time_history_request_not_done",
            ),
        ),
    ]
