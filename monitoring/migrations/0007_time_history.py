"""Time histories that people asked for."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from instruments.constraints import TenantForeignKey, TenantParent


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0004_sites"),
        ("monitoring", "0006_fleet_version"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="TimeHistoryRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("noise", "Levels: LAeq, LAF,max and LC,peak"),
                            ("octave", "Octave bands"),
                            ("third_octave", "Third-octave bands"),
                        ],
                        max_length=16,
                        verbose_name="what",
                    ),
                ),
                ("start_at", models.DateTimeField()),
                ("end_at", models.DateTimeField()),
                ("step_ms", models.PositiveIntegerField()),
                ("token", models.UUIDField()),
                ("requested_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Being fetched"),
                            ("done", "Fetched"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="open",
                        max_length=16,
                    ),
                ),
                ("message", models.CharField(blank=True, max_length=300)),
                ("fetched_until", models.DateTimeField()),
                ("samples", models.PositiveBigIntegerField(default=0)),
                ("bytes", models.PositiveBigIntegerField(default=0)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("finished_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField()),
                ("lease_until", models.DateTimeField(null=True)),
                ("lease_token", models.UUIDField(null=True)),
                (
                    "instrument",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.instrument",
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
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="TimeHistoryHour",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("start_at", models.DateTimeField()),
                ("names", models.JSONField()),
                ("data", models.BinaryField()),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.organisation",
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="monitoring.timehistoryrequest",
                    ),
                ),
            ],
            options={
                "ordering": ["start_at"],
            },
        ),
        migrations.AddIndex(
            model_name="timehistoryrequest",
            index=models.Index(
                condition=models.Q(("state", "open")), fields=["due_at"], name="time_history_request_due"
            ),
        ),
        migrations.AddIndex(
            model_name="timehistoryrequest",
            index=models.Index(
                fields=["organisation", "instrument", "-id"], name="time_history_request_newest"
            ),
        ),
        migrations.AddConstraint(
            model_name="timehistoryrequest",
            constraint=models.UniqueConstraint(
                fields=("organisation", "token"), name="time_history_request_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="timehistoryhour",
            constraint=models.UniqueConstraint(
                fields=("organisation", "request", "start_at"), name="time_history_hour_once"
            ),
        ),
        TenantParent("TimeHistoryRequest"),
        TenantForeignKey("TimeHistoryRequest", "instrument"),
        TenantForeignKey("TimeHistoryHour", "request"),
    ]
