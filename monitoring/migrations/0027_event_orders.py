"""What lists of events are sorted by, formed by the database: existing rows are written once more."""

import django.db.models.functions.comparison
from django.db import migrations, models

import monitoring.models.events


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0007_standing_without_values"),
        ("monitoring", "0026_empty_rows"),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="length_order",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.comparison.Coalesce(
                    monitoring.models.events.Seconds("end_at", "start_at"), models.Value(-1000000000.0)
                ),
                output_field=models.FloatField(),
            ),
        ),
        migrations.AddField(
            model_name="event",
            name="level_order",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.comparison.Coalesce(
                    "level_db", models.Value(-1000000000.0)
                ),
                output_field=models.FloatField(),
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["organisation", "level_order", "start_at", "id"], name="event_level"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                fields=["organisation", "length_order", "start_at", "id"], name="event_length"
            ),
        ),
    ]
