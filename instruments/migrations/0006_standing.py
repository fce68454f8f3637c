"""The standing of each instrument, kept by the database, and the indexes that a fleet is sorted by."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0005_demo"),
    ]

    operations = [
        migrations.AddField(
            model_name="instrument",
            name="standing",
            field=models.PositiveSmallIntegerField(default=4, editable=False),
        ),
        migrations.AddIndex(
            model_name="instrument",
            index=models.Index(
                fields=["organisation", "standing", "name", "serial"], name="instrument_standing"
            ),
        ),
        migrations.AddIndex(
            model_name="instrument",
            index=models.Index(fields=["organisation", "name", "serial"], name="instrument_name"),
        ),
    ]
