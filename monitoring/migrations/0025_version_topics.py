"""What the boards of checks show is counted apart from what the fleet page shows."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0024_gap_kinds")]

    operations = [
        migrations.RemoveConstraint(model_name="fleetversion", name="fleet_version_once"),
        migrations.AddField(
            model_name="fleetversion",
            name="topic",
            field=models.PositiveSmallIntegerField(choices=[(0, "Fleet"), (1, "Checks")], default=0),
        ),
        migrations.AddConstraint(
            model_name="fleetversion",
            constraint=models.UniqueConstraint(
                fields=("organisation", "topic", "shard"), name="fleet_version_once"
            ),
        ),
    ]
