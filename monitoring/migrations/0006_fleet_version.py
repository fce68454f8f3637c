"""How often each fleet has changed, the last day of each instrument, and indexes that find who is silent or new."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0006_standing"),
        ("monitoring", "0005_event_tags"),
    ]

    operations = [
        migrations.CreateModel(
            name="FleetVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("shard", models.PositiveSmallIntegerField()),
                ("number", models.BigIntegerField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name="instrumentstatus",
            name="status_changed",
        ),
        migrations.AddField(
            model_name="instrumentstatus",
            name="day_levels",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddIndex(
            model_name="instrumentstatus",
            index=models.Index(fields=["organisation", "observed_at"], name="status_observed"),
        ),
        migrations.AddIndex(
            model_name="synctarget",
            index=models.Index(
                condition=models.Q(("outcome", "never")),
                fields=["organisation", "resource"],
                name="sync_target_never",
            ),
        ),
        migrations.AddField(
            model_name="fleetversion",
            name="organisation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="instruments.organisation"
            ),
        ),
        migrations.AddConstraint(
            model_name="fleetversion",
            constraint=models.UniqueConstraint(fields=("organisation", "shard"), name="fleet_version_once"),
        ),
    ]
