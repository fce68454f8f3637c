"""What is not understood of an answer is kept as it came."""

import django.db.models.deletion
from django.db import migrations, models

from instruments.constraints import TenantForeignKey


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0009_instrument_tenant_key"),
        ("monitoring", "0030_gap_looked_at"),
    ]

    operations = [
        migrations.CreateModel(
            name="UnreadRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("resource", models.CharField(max_length=16)),
                ("sha256", models.CharField(max_length=64)),
                ("document", models.TextField()),
                ("found_at", models.DateTimeField()),
                (
                    "instrument",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
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
            ],
            options={
                "ordering": ["-found_at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "instrument", "resource", "sha256"), name="unread_row_once"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("instrument", None)),
                        fields=("organisation", "resource", "sha256"),
                        name="unread_row_of_none_once",
                    ),
                ],
            },
        ),
        TenantForeignKey("UnreadRow", "instrument"),
    ]
