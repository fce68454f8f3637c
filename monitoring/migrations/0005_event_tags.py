"""What people say of events, and indexes for lists across instruments."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from instruments.constraints import TenantForeignKey, TenantParent


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0003_activity"),
        ("monitoring", "0004_latest_reading"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EventCause",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                ("position", models.PositiveSmallIntegerField()),
            ],
            options={
                "ordering": ["position", "pk"],
            },
        ),
        migrations.CreateModel(
            name="EventTag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("cause", models.CharField(blank=True, max_length=60, verbose_name="cause")),
                ("comment", models.CharField(blank=True, max_length=1000, verbose_name="comment")),
                ("excluded", models.BooleanField(default=False, verbose_name="excluded")),
                ("excluded_at", models.DateTimeField(null=True)),
                ("excluded_by_name", models.CharField(blank=True, max_length=254)),
                ("changed_at", models.DateTimeField()),
            ],
        ),
        migrations.AddIndex(
            model_name="audiorecording",
            index=models.Index(fields=["organisation", "start_at", "id"], name="audio_recording_newest"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["organisation", "start_at", "id"], name="event_time"),
        ),
        migrations.AddField(
            model_name="eventcause",
            name="organisation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="instruments.organisation"
            ),
        ),
        migrations.AddField(
            model_name="eventtag",
            name="event",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="tag", to="monitoring.event"
            ),
        ),
        migrations.AddField(
            model_name="eventtag",
            name="excluded_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="eventtag",
            name="organisation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="instruments.organisation"
            ),
        ),
        migrations.AddConstraint(
            model_name="eventcause",
            constraint=models.UniqueConstraint(fields=("organisation", "name"), name="event_cause_once"),
        ),
        migrations.AddIndex(
            model_name="eventtag",
            index=models.Index(
                condition=models.Q(("excluded", True)),
                fields=["organisation", "event"],
                name="event_tag_excluded",
            ),
        ),
        TenantParent("Event"),
        TenantForeignKey("EventTag", "event"),
    ]
