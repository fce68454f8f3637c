"""What reviewers found of levels in doubt."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from instruments.constraints import TenantForeignKey


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0006_standing"),
        ("monitoring", "0014_calendar_feed"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DoubtReview",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("found_at", models.DateTimeField()),
                ("good_until_at", models.DateTimeField(null=True, verbose_name="good until")),
                ("evidence", models.CharField(max_length=1000, verbose_name="evidence")),
                ("reviewed_at", models.DateTimeField()),
                ("reviewed_by_name", models.CharField(max_length=254)),
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
                    "reviewed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "indexes": [
                    models.Index(fields=["organisation", "instrument", "found_at"], name="doubt_review")
                ],
            },
        ),
        TenantForeignKey("DoubtReview", "instrument"),
    ]
