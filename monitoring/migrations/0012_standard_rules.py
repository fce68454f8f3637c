"""Organisations that were here before rules were get the ones that new ones start with."""

from django.db import migrations
from django.utils import timezone

R10 = (
    "Step of at most 0.5 dB between field checks: ISO 1996-2:2017 clause 5.2, read in a second-hand account."
)
STANDARD: tuple[tuple[str, str, dict[str, float], str], ...] = (
    ("sic_failed", "A System Integrity Check failed", {}, ""),
    ("calibration_failed", "A calibration failed", {}, ""),
    ("calibration_step", "A calibration's offset stepped too far", {"limit_db": 0.5}, R10),
    ("offline", "An instrument is offline", {"amber": 15, "red": 60}, ""),
    ("not_measuring", "An instrument is online but does not measure", {"amber": 15}, ""),
    ("no_data", "An instrument measures but sends no data", {"amber": 60}, ""),
    ("sim", "The SIM's data are nearly used", {"amber": 80, "red": 95}, ""),
    ("disk", "The disk is nearly full", {"amber": 80, "red": 95}, ""),
    ("subscription", "A subscription is cancelled or has expired", {}, ""),
    ("key", "A key is refused or may not do everything", {}, ""),
    ("unreachable", "MyCirrus cannot be reached", {"amber": 10, "red": 60}, ""),
    ("webhook_silent", "A webhook keeps silent", {}, ""),
    ("late", "Cirrusweb itself runs late", {"amber": 2, "red": 10}, ""),
)


def standard_rules(apps, schema_editor):
    """As monitoring.alerts.rules.standard_rules does for a new organisation."""
    Organisation = apps.get_model("instruments", "Organisation")
    Rule = apps.get_model("monitoring", "AlertRule")
    Version = apps.get_model("monitoring", "AlertRuleVersion")
    now = timezone.now()
    for organisation in Organisation.objects.all():
        for kind, name, settings, source in STANDARD:
            rule = Rule.objects.create(organisation=organisation, kind=kind, name=name)
            Version.objects.create(
                organisation=organisation,
                rule=rule,
                number=1,
                settings=settings,
                source=source,
                current=True,
                made_at=now,
            )


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0011_alert_rules")]

    operations = [migrations.RunPython(standard_rules, migrations.RunPython.noop)]
