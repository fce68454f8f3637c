"""The database holds readings, targets and alerts to the organisation of what they belong to."""

from django.db import migrations

from instruments.constraints import TenantForeignKey, TenantParent
from monitoring.storage.partitions import MonthPartitioned


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0001_initial"), ("instruments", "0002_tenant_keys")]

    operations = [
        *(
            MonthPartitioned(name)
            for name in (
                "FrequencyMeasurement",
                "GasSample",
                "MonitorStats",
                "NoiseMeasurement",
                "ParticulateSample",
                "PeakParticleVelocity",
                "VibrationDose",
                "WeatherSample",
            )
        ),
        TenantParent("Incident"),
        TenantParent("IncidentChange"),
        TenantForeignKey("AlertDelivery", "change"),
        TenantForeignKey("AlertPreference", "membership"),
        TenantForeignKey("Calibration", "instrument"),
        TenantForeignKey("Incident", "instrument"),
        TenantForeignKey("IncidentChange", "incident"),
        TenantForeignKey("InstrumentStatus", "instrument"),
        TenantForeignKey("NoiseMeasurement", "instrument", alone=True),
        TenantForeignKey("StatusChange", "instrument"),
        TenantForeignKey("SyncTarget", "api_key"),
        TenantForeignKey("SyncTarget", "instrument"),
        TenantForeignKey("SystemIntegrityCheck", "instrument"),
        TenantForeignKey("AudioRecording", "instrument"),
        TenantForeignKey("CalibrationLogEntry", "instrument"),
        TenantForeignKey("Event", "instrument"),
        TenantForeignKey("FrequencyMeasurement", "instrument", alone=True),
        TenantForeignKey("Gap", "instrument"),
        TenantForeignKey("GasSample", "instrument", alone=True),
        TenantForeignKey("MonitorStats", "instrument", alone=True),
        TenantForeignKey("NoiseRollup", "instrument", alone=True),
        TenantForeignKey("ParticulateSample", "instrument", alone=True),
        TenantForeignKey("PeakParticleVelocity", "instrument", alone=True),
        TenantForeignKey("VibrationDose", "instrument", alone=True),
        TenantForeignKey("WeatherSample", "instrument", alone=True),
    ]
