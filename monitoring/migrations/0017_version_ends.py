"""A version knows since when it judges no more."""

from django.db import migrations, models


def versions_end(apps, schema_editor):
    """Each ended where the next began; of a rule that is paused or removed, the last ended then."""
    Version = apps.get_model("monitoring", "AlertRuleVersion")
    following: dict[int, object] = {}
    for version in Version.objects.select_related("rule").order_by("rule_id", "-number"):
        rule = version.rule
        ended_at = following.get(rule.pk) or rule.removed_at or rule.paused_at
        if ended_at is not None:
            Version.objects.filter(pk=version.pk).update(ended_at=ended_at)
        following[rule.pk] = version.made_at


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0016_places"),
    ]

    operations = [
        migrations.AddField(
            model_name="alertruleversion",
            name="ended_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="incidentchange",
            name="step",
            field=models.CharField(
                choices=[
                    ("opened", "Opened"),
                    ("raised", "Grew worse"),
                    ("eased", "Eased, not over"),
                    ("repeated", "Failed again"),
                    ("joined", "Another instrument joined"),
                    ("left", "One instrument recovered"),
                    ("dark", "No data: it stays open"),
                    ("light", "Data are back"),
                    ("flapping", "Comes and goes: held open"),
                    ("closed", "Recovered"),
                    ("withdrawn", "Closed: its rule no longer judges"),
                    ("reminded", "Nobody acknowledged: told again"),
                    ("escalated", "Nobody acknowledged: next person told"),
                    ("awake", "Still open after maintenance"),
                    ("acknowledged", "Acknowledged"),
                    ("assigned", "Assigned"),
                    ("commented", "Comment"),
                    ("cause", "Cause stated"),
                    ("closed_by_hand", "Closed by hand"),
                ],
                max_length=16,
            ),
        ),
        migrations.RunPython(versions_end, migrations.RunPython.noop),
    ]
