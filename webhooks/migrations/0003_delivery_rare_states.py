"""What the operator looks for among a million deliveries is found by an index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0006_standing"),
        ("webhooks", "0002_tenant_keys"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(
                    ("state", "failed"), ("state", "ignored"), ("signature", "legacy"), _connector="OR"
                ),
                fields=["-id"],
                name="delivery_odd",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(
                    ("type", "NewEvent"),
                    ("type", "InstrumentStatus"),
                    ("type", "CalibrationFinished"),
                    ("type", "SicFinished"),
                    _connector="OR",
                ),
                fields=["type", "-id"],
                name="delivery_type",
            ),
        ),
    ]
