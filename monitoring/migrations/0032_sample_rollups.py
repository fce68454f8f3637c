"""Weather, air, vibration and health of the monitor get rollups, as levels have them."""

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
        ("monitoring", "0031_unread_rows"),
    ]

    operations = [
        migrations.CreateModel(
            name="SampleRollup",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organisation_id",
                        "instrument_id",
                        "resource",
                        "bucket_s",
                        "start_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("resource", models.CharField(max_length=16)),
                (
                    "bucket_s",
                    models.PositiveIntegerField(
                        choices=[(900, "15 minutes"), (3600, "hour"), (86400, "day")]
                    ),
                ),
                ("start_at", models.DateTimeField()),
                ("count", models.PositiveIntegerField()),
                ("sums", models.JSONField()),
                ("valid", models.JSONField()),
                ("instrument", _key("instruments.instrument")),
                ("organisation", _key("instruments.organisation")),
            ],
            options={
                "ordering": ["start_at"],
                "abstract": False,
                "constraints": [SqliteTenantForeignKey(field="instrument", name="samplerollup_tenant")],
            },
        ),
        TenantForeignKey("SampleRollup", "instrument", alone=True),
    ]
