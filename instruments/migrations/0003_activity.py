"""The organisation's log of who did what."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0002_tenant_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="Activity",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="time")),
                ("actor_name", models.CharField(blank=True, max_length=254, verbose_name="who")),
                ("verb", models.CharField(max_length=40, verbose_name="what")),
                ("subject", models.CharField(max_length=300, verbose_name="about")),
                ("detail", models.CharField(blank=True, max_length=500, verbose_name="detail")),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
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
                "verbose_name_plural": "activities",
                "ordering": ["-pk"],
                "indexes": [models.Index(fields=["organisation", "-id"], name="activity_newest")],
            },
        ),
    ]
