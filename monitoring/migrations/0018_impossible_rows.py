"""Rows with values that cannot be true are flagged."""

import django.db.models.deletion
from django.db import migrations, models

from instruments.constraints import TenantForeignKey


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0006_standing"),
        ("monitoring", "0017_version_ends"),
    ]

    operations = [
        migrations.CreateModel(
            name="ImpossibleRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("table", models.CharField(max_length=16)),
                ("start_at", models.DateTimeField()),
                ("values", models.JSONField()),
                (
                    "instrument",
                    models.ForeignKey(
                        db_index=False,
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
                "ordering": ["-start_at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "instrument", "table", "start_at"), name="impossible_row_once"
                    )
                ],
            },
        ),
        TenantForeignKey("ImpossibleRow", "instrument"),
    ]
