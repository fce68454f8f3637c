"""The last day of an instrument is of any quantity, and says of which and when it ends."""

from django.db import migrations, models
from django.db.models import F


def levels_told(apps, schema_editor):
    """Until now it was of levels alone and ended with the newest."""
    rows = apps.get_model("monitoring", "InstrumentStatus").objects.exclude(day_values="")
    rows.update(day_quantity="LAeq", day_at=F("level_at"))


def forgotten(apps, schema_editor):
    """The next values bring them anew."""
    apps.get_model("monitoring", "InstrumentStatus").objects.update(day_values="")


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0022_sic_limits"),
    ]

    operations = [
        migrations.RenameField(
            model_name="instrumentstatus",
            old_name="day_levels",
            new_name="day_values",
        ),
        migrations.AlterField(
            model_name="instrumentstatus",
            name="day_values",
            field=models.CharField(blank=True, max_length=800),
        ),
        migrations.AddField(
            model_name="instrumentstatus",
            name="day_quantity",
            field=models.CharField(blank=True, default="", max_length=16),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="instrumentstatus",
            name="day_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(levels_told, forgotten),
    ]
