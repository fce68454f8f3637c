"""When each instrument's SICs would be beyond the tolerance in force."""

from collections import defaultdict

from django.db import migrations, models

from monitoring.acoustics.drift import SIC_TOLERANCE


def limits(apps, schema_editor):
    """As monitoring.check_standings.sic_limits_refresh does where a tolerance is changed."""
    from monitoring.check_standings import limit_of

    Standing = apps.get_model("monitoring", "CheckStanding")
    Tolerances = apps.get_model("monitoring", "Tolerances")
    held = defaultdict(lambda: SIC_TOLERANCE, Tolerances.objects.values_list("organisation", "sic_db"))
    rows = list(Standing.objects.exclude(sic_at=None).only("organisation_id", "sic", "sic_at"))
    for row in rows:
        row.sic_limit_at = limit_of(row.sic, row.sic_at, held[row.organisation_id])
    Standing.objects.bulk_update(rows, ["sic_limit_at"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0021_silence")]

    operations = [
        migrations.AddField(
            model_name="checkstanding", name="sic_limit_at", field=models.DateTimeField(null=True)
        ),
        migrations.RunPython(limits, migrations.RunPython.noop),
    ]
