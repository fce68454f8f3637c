"""Where checks stand, what they are held to, and laboratory certificates."""

from decimal import Decimal

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from instruments.constraints import TenantForeignKey, TenantParent


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0006_standing"),
        ("monitoring", "0009_fleet_views"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Calibrator",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("serial", models.CharField(max_length=64, verbose_name="serial number")),
                ("model", models.CharField(blank=True, max_length=64, verbose_name="model")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.organisation",
                    ),
                ),
            ],
            options={
                "ordering": ["serial"],
            },
        ),
        migrations.CreateModel(
            name="Certificate",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.CharField(max_length=80, verbose_name="certificate number")),
                ("laboratory", models.CharField(max_length=120, verbose_name="laboratory")),
                ("issued_on", models.DateField(verbose_name="calibrated on")),
                ("due_on", models.DateField(verbose_name="due on")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "calibrator",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="monitoring.calibrator",
                    ),
                ),
                (
                    "instrument",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.instrument",
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.organisation",
                    ),
                ),
            ],
            options={
                "ordering": ["-issued_on", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="CheckStanding",
            fields=[
                (
                    "instrument",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="check_standing",
                        serialize=False,
                        to="instruments.instrument",
                    ),
                ),
                ("calibrated_at", models.DateTimeField(null=True)),
                ("calibration_status", models.CharField(blank=True, max_length=32)),
                ("calibration_passed", models.BooleanField(null=True)),
                ("good_calibration_at", models.DateTimeField(null=True)),
                ("good_before_at", models.DateTimeField(null=True)),
                ("level_db", models.DecimalField(decimal_places=3, max_digits=7, null=True)),
                ("offset_db", models.DecimalField(decimal_places=3, max_digits=7, null=True)),
                ("step_db", models.DecimalField(decimal_places=3, max_digits=7, null=True)),
                ("sic_at", models.DateTimeField(null=True)),
                ("sic_status", models.CharField(blank=True, max_length=32)),
                ("sic_passed", models.BooleanField(null=True)),
                ("sic_failed_at", models.DateTimeField(null=True)),
                ("sic_difference_db", models.DecimalField(decimal_places=3, max_digits=7, null=True)),
                ("sic_year_db", models.DecimalField(decimal_places=3, max_digits=7, null=True)),
                ("sic", models.JSONField(default=dict)),
                ("updated_at", models.DateTimeField()),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.organisation",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="SicBaseline",
            fields=[
                (
                    "instrument",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="instruments.instrument",
                    ),
                ),
                (
                    "level_500hz_db",
                    models.DecimalField(blank=True, decimal_places=3, max_digits=7, null=True),
                ),
                ("level_1khz_db", models.DecimalField(blank=True, decimal_places=3, max_digits=7, null=True)),
                ("level_8khz_db", models.DecimalField(blank=True, decimal_places=3, max_digits=7, null=True)),
                ("set_at", models.DateTimeField()),
                ("note", models.CharField(blank=True, max_length=200)),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.organisation",
                    ),
                ),
                (
                    "set_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="Tolerances",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "step_db",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0.5"),
                        max_digits=4,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.05")),
                            django.core.validators.MaxValueValidator(Decimal("5")),
                        ],
                        verbose_name="calibration step",
                    ),
                ),
                (
                    "offset_db",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("1.5"),
                        max_digits=4,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.05")),
                            django.core.validators.MaxValueValidator(Decimal("10")),
                        ],
                        verbose_name="calibration offset",
                    ),
                ),
                (
                    "sic_db",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0.7"),
                        max_digits=4,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.5")),
                            django.core.validators.MaxValueValidator(Decimal("5")),
                        ],
                        verbose_name="SIC difference",
                    ),
                ),
                (
                    "calibration_days",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                        verbose_name="calibration every",
                    ),
                ),
                (
                    "meter_months",
                    models.PositiveSmallIntegerField(
                        default=24,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(120),
                        ],
                        verbose_name="meter's certificate",
                    ),
                ),
                (
                    "calibrator_months",
                    models.PositiveSmallIntegerField(
                        default=12,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(120),
                        ],
                        verbose_name="calibrator's certificate",
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instruments.organisation",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "tolerances",
                "ordering": ["pk"],
            },
        ),
        migrations.AddConstraint(
            model_name="calibrator",
            constraint=models.UniqueConstraint(
                fields=("organisation", "serial"),
                name="calibrator_once",
                violation_error_message="There is a calibrator of this serial number already.",
            ),
        ),
        migrations.AddIndex(
            model_name="certificate",
            index=models.Index(
                fields=["organisation", "instrument", "-issued_on"], name="certificate_instrument"
            ),
        ),
        migrations.AddIndex(
            model_name="certificate",
            index=models.Index(
                fields=["organisation", "calibrator", "-issued_on"], name="certificate_calibrator"
            ),
        ),
        migrations.AddConstraint(
            model_name="certificate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("calibrator__isnull", False), ("instrument__isnull", True)),
                    models.Q(("calibrator__isnull", True), ("instrument__isnull", False)),
                    _connector="OR",
                ),
                name="certificate_of_one_thing",
            ),
        ),
        migrations.AddConstraint(
            model_name="certificate",
            constraint=models.CheckConstraint(
                condition=models.Q(("due_on__gt", models.F("issued_on"))),
                name="certificate_due_after_issue",
                violation_error_message="It has to fall due after it was issued.",
            ),
        ),
        migrations.AddConstraint(
            model_name="tolerances",
            constraint=models.UniqueConstraint(fields=("organisation",), name="tolerances_once"),
        ),
        TenantParent("Calibrator"),
        TenantForeignKey("Certificate", "instrument"),
        TenantForeignKey("Certificate", "calibrator"),
        TenantForeignKey("CheckStanding", "instrument"),
        TenantForeignKey("SicBaseline", "instrument"),
    ]
