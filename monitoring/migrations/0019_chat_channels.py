"""Channels where several people read: what each hears is said by preferences, as of a person."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from instruments.constraints import TenantForeignKey


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0006_standing"),
        ("monitoring", "0018_impossible_rows"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveField(
            model_name="alertchannel",
            name="membership",
        ),
        migrations.RemoveField(
            model_name="alertchannel",
            name="minimum",
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="host",
            field=models.CharField(default="", editable=False, max_length=255),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="last_four",
            field=models.CharField(default="", editable=False, max_length=4),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="removed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="test_answer",
            field=models.CharField(blank=True, editable=False, max_length=300),
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="test_passed",
            field=models.BooleanField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="tested_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="alertpreference",
            name="channel",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="monitoring.alertchannel",
            ),
        ),
        migrations.AlterField(
            model_name="alertchannel",
            name="kind",
            field=models.CharField(
                choices=[
                    ("slack", "Slack"),
                    ("teams", "Microsoft Teams"),
                    ("discord", "Discord"),
                    ("webhook", "Signed webhook"),
                ],
                max_length=16,
                verbose_name="kind",
            ),
        ),
        migrations.AlterField(
            model_name="alertchannel",
            name="made_by",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="alertchannel",
            name="off_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="alertchannel",
            name="off_reason",
            field=models.CharField(blank=True, editable=False, max_length=300),
        ),
        migrations.AlterField(
            model_name="alertpreference",
            name="kind",
            field=models.CharField(
                blank=True,
                choices=[
                    ("sic_failed", "A System Integrity Check failed"),
                    ("sic_drift", "A SIC level drifts towards its tolerance"),
                    ("calibration_failed", "A calibration failed"),
                    ("calibration_step", "A calibration's offset stepped too far"),
                    ("calibration_overdue", "A calibration is overdue"),
                    ("offline", "An instrument is offline"),
                    ("not_measuring", "An instrument is online but does not measure"),
                    ("no_data", "An instrument measures but sends no data"),
                    ("voltage", "The supply voltage is low"),
                    ("signal", "The mobile signal is weak"),
                    ("sim", "The SIM's data are nearly used"),
                    ("disk", "The disk is nearly full"),
                    ("temperature", "The instrument is too hot"),
                    ("subscription", "A subscription is cancelled or has expired"),
                    ("level", "A level is over its limit"),
                    ("key", "A key is refused or may not do everything"),
                    ("unreachable", "MyCirrus cannot be reached"),
                    ("webhook_silent", "A webhook keeps silent"),
                    ("late", "Cirrusweb itself runs late"),
                    ("channel", "A channel was switched off"),
                ],
                max_length=32,
            ),
        ),
        migrations.AlterField(
            model_name="alertpreference",
            name="membership",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="instruments.membership",
            ),
        ),
        migrations.AlterField(
            model_name="alertrule",
            name="kind",
            field=models.CharField(
                choices=[
                    ("sic_failed", "A System Integrity Check failed"),
                    ("sic_drift", "A SIC level drifts towards its tolerance"),
                    ("calibration_failed", "A calibration failed"),
                    ("calibration_step", "A calibration's offset stepped too far"),
                    ("calibration_overdue", "A calibration is overdue"),
                    ("offline", "An instrument is offline"),
                    ("not_measuring", "An instrument is online but does not measure"),
                    ("no_data", "An instrument measures but sends no data"),
                    ("voltage", "The supply voltage is low"),
                    ("signal", "The mobile signal is weak"),
                    ("sim", "The SIM's data are nearly used"),
                    ("disk", "The disk is nearly full"),
                    ("temperature", "The instrument is too hot"),
                    ("subscription", "A subscription is cancelled or has expired"),
                    ("level", "A level is over its limit"),
                    ("key", "A key is refused or may not do everything"),
                    ("unreachable", "MyCirrus cannot be reached"),
                    ("webhook_silent", "A webhook keeps silent"),
                    ("late", "Cirrusweb itself runs late"),
                    ("channel", "A channel was switched off"),
                ],
                max_length=32,
                verbose_name="what",
            ),
        ),
        migrations.AlterField(
            model_name="incident",
            name="kind",
            field=models.CharField(
                choices=[
                    ("sic_failed", "A System Integrity Check failed"),
                    ("sic_drift", "A SIC level drifts towards its tolerance"),
                    ("calibration_failed", "A calibration failed"),
                    ("calibration_step", "A calibration's offset stepped too far"),
                    ("calibration_overdue", "A calibration is overdue"),
                    ("offline", "An instrument is offline"),
                    ("not_measuring", "An instrument is online but does not measure"),
                    ("no_data", "An instrument measures but sends no data"),
                    ("voltage", "The supply voltage is low"),
                    ("signal", "The mobile signal is weak"),
                    ("sim", "The SIM's data are nearly used"),
                    ("disk", "The disk is nearly full"),
                    ("temperature", "The instrument is too hot"),
                    ("subscription", "A subscription is cancelled or has expired"),
                    ("level", "A level is over its limit"),
                    ("key", "A key is refused or may not do everything"),
                    ("unreachable", "MyCirrus cannot be reached"),
                    ("webhook_silent", "A webhook keeps silent"),
                    ("late", "Cirrusweb itself runs late"),
                    ("channel", "A channel was switched off"),
                ],
                max_length=32,
            ),
        ),
        migrations.AddIndex(
            model_name="alertdelivery",
            index=models.Index(
                condition=models.Q(("target__isnull", False)),
                fields=["target", "-id"],
                name="alert_delivery_log",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertpreference",
            constraint=models.UniqueConstraint(
                condition=models.Q(("channel__isnull", False), ("site", None)),
                fields=("organisation", "channel", "kind"),
                name="alert_preference_channel_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertpreference",
            constraint=models.UniqueConstraint(
                condition=models.Q(("channel__isnull", False), ("site__isnull", False)),
                fields=("organisation", "channel", "kind", "site"),
                name="alert_preference_channel_site_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertpreference",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("channel", None), ("membership__isnull", False)),
                    models.Q(("channel__isnull", False), ("membership", None)),
                    _connector="OR",
                ),
                name="alert_preference_whose",
            ),
        ),
        TenantForeignKey("AlertPreference", "channel"),
    ]
