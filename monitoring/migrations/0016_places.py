"""Wishes and maintenance of one site."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from instruments.constraints import TenantForeignKey


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0006_standing"),
        ("monitoring", "0015_doubt_reviews"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="alertpreference",
            name="alert_preference_once",
        ),
        migrations.AddField(
            model_name="alertpreference",
            name="site",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="instruments.site",
            ),
        ),
        migrations.AddField(
            model_name="maintenance",
            name="site",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="instruments.site",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertpreference",
            constraint=models.UniqueConstraint(
                condition=models.Q(("instrument", None), ("site", None)),
                fields=("organisation", "membership", "kind"),
                name="alert_preference_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertpreference",
            constraint=models.UniqueConstraint(
                condition=models.Q(("site__isnull", False)),
                fields=("organisation", "membership", "kind", "site"),
                name="alert_preference_site_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertpreference",
            constraint=models.CheckConstraint(
                condition=models.Q(("instrument", None), ("site", None), _connector="OR"),
                name="alert_preference_one_place",
            ),
        ),
        migrations.AddConstraint(
            model_name="maintenance",
            constraint=models.CheckConstraint(
                condition=models.Q(("instrument", None), ("site", None), _connector="OR"),
                name="maintenance_one_place",
            ),
        ),
        TenantForeignKey("AlertPreference", "site"),
        TenantForeignKey("Maintenance", "site"),
    ]
