"""What people asked instruments to do."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from instruments.constraints import TenantForeignKey


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0003_activity"),
        ("monitoring", "0002_tenant_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="InstrumentAction",
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
                            ("Identify", "Identify"),
                            ("Calibration", "Calibration"),
                            ("SIC", "SIC"),
                            ("Rename", "Rename"),
                        ],
                        max_length=16,
                        verbose_name="action",
                    ),
                ),
                ("token", models.UUIDField()),
                ("requested_at", models.DateTimeField()),
                ("why", models.CharField(blank=True, max_length=300, verbose_name="why")),
                ("name", models.CharField(blank=True, max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("requested", "Waiting to be sent"),
                            ("started", "Being sent"),
                            ("in_progress", "In progress"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("unknown", "Not known"),
                        ],
                        default="requested",
                        max_length=16,
                    ),
                ),
                ("started_at", models.DateTimeField(null=True)),
                ("remote_status", models.CharField(blank=True, max_length=64)),
                ("message", models.CharField(blank=True, max_length=300)),
                ("finished_at", models.DateTimeField(null=True)),
                ("result_at", models.DateTimeField(null=True)),
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
                "indexes": [
                    models.Index(
                        condition=models.Q(("finished_at", None)), fields=["due_at"], name="action_due"
                    ),
                    models.Index(fields=["organisation", "instrument", "-id"], name="action_newest"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("organisation", "token"), name="action_once"),
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at", None), ("kind__in", ["Calibration", "SIC"])),
                        fields=("organisation", "instrument"),
                        name="action_check_alone",
                    ),
                ],
            },
        ),
        TenantForeignKey("InstrumentAction", "instrument"),
    ]
