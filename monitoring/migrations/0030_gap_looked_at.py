"""When a gap was last asked for again: the sweep goes on after it was broken off."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0029_series_tenant_keys")]

    operations = [
        migrations.AddField("gap", "looked_at", models.DateTimeField(blank=True, null=True)),
    ]
