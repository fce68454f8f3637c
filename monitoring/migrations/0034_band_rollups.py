"""Spectra get rollups, as levels and samples have them."""

import django.db.models.deletion
from django.db import migrations, models

from instruments.constraints import SqliteTenantForeignKey, TenantForeignKey


def _key(to: str) -> "models.ForeignKey":
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
        to=to,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0009_instrument_tenant_key"),
        ("monitoring", "0033_sample_rollups_of_what_is_stored"),
    ]

    operations = [
        migrations.CreateModel(
            name="BandRollup",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organisation_id",
                        "instrument_id",
                        "bands",
                        "bucket_s",
                        "start_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "bands",
                    models.CharField(choices=[("Octave", "Octave"), ("Third", "Third")], max_length=8),
                ),
                (
                    "bucket_s",
                    models.PositiveIntegerField(
                        choices=[(900, "15 minutes"), (3600, "hour"), (86400, "day")]
                    ),
                ),
                ("start_at", models.DateTimeField()),
                ("count", models.PositiveIntegerField()),
                ("valid_s", models.FloatField()),
                ("sums", models.JSONField()),
                ("instrument", _key("instruments.instrument")),
                ("organisation", _key("instruments.organisation")),
            ],
            options={
                "ordering": ["start_at"],
                "abstract": False,
                "constraints": [SqliteTenantForeignKey(field="instrument", name="bandrollup_tenant")],
            },
        ),
        TenantForeignKey("BandRollup", "instrument", alone=True),
    ]
