"""A member's own address of the calendar of due dates."""

import django.db.models.deletion
from django.db import migrations, models

import monitoring.models.feeds
from instruments.constraints import TenantForeignKey


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0006_standing"),
        ("monitoring", "0013_digests"),
    ]

    operations = [
        migrations.CreateModel(
            name="CalendarFeed",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "secret",
                    models.CharField(
                        default=monitoring.models.feeds.feed_secret, editable=False, max_length=40
                    ),
                ),
                ("made_at", models.DateTimeField()),
                (
                    "membership",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.membership",
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.organisation",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        TenantForeignKey("CalendarFeed", "membership"),
    ]
