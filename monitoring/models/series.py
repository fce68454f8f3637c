"""Time series as recorded: one row an instrument and period. A value that MyCirrus did not give is NULL, never zero."""

from django.db import models

from instruments.constraints import SqliteTenantForeignKey
from instruments.models import Instrument
from instruments.tenancy import OrgOwned


class OfSeries(OrgOwned):
    """A row of a table that may hold a billion: its key is what it is read by, and there is no other index.

    Instrument and organisation are held by one key, not by two: a row's instrument is of the row's organisation, and
    has one itself. On PostgreSQL it is a migration's (`TenantForeignKey`).
    """

    organisation = models.ForeignKey(
        "instruments.Organisation",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    instrument = models.ForeignKey(
        Instrument, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )

    class Meta:
        abstract = True
        ordering = ["start_at"]
        constraints = [SqliteTenantForeignKey(field="instrument", name="%(class)s_tenant")]


class SeriesRow(OfSeries):
    """One instrument's values of one period, from ``start_at`` on."""

    pk = models.CompositePrimaryKey("organisation_id", "instrument_id", "start_at")
    start_at = models.DateTimeField()
    duration_s = models.FloatField(null=True)
    # What came beside the known values, under the vendor's names.
    extra = models.JSONField(null=True)

    class Meta(OfSeries.Meta):
        abstract = True

    def __str__(self) -> str:
        return f"{self.instrument_id} at {self.start_at:%Y-%m-%d %H:%M:%S}Z"


class FrequencyMeasurement(SeriesRow):
    """Unweighted (Z) band levels in dB of one period: octaves or third octaves."""

    class Bands(models.TextChoices):
        OCTAVE = "Octave"
        THIRD = "Third"

    pk = models.CompositePrimaryKey("organisation_id", "instrument_id", "bands", "start_at")
    bands = models.CharField(max_length=8, choices=Bands.choices)
    # {"31.5Hz": 55.3, ...}: the band sets differ between instruments, so bands are not columns.
    levels = models.JSONField()


class Bucket(models.IntegerChoices):
    """How long the stretches of UTC time are, in seconds, by which rows are summed."""

    QUARTER = 900, "15 minutes"
    HOUR = 3600, "hour"
    DAY = 86400, "day"


class Rollup(OfSeries):
    """Sums of the ``count`` rows that start in one bucket of UTC time."""

    bucket_s = models.PositiveIntegerField(choices=Bucket.choices)
    start_at = models.DateTimeField()
    count = models.PositiveIntegerField()

    class Meta(OfSeries.Meta):
        abstract = True


class SampleRollup(Rollup):
    """All rows of one table of samples that start in one bucket of UTC time: sums and extremes (R4).

    `sums` are by column: value × seconds, the seconds that had one, the lowest, the highest. Of a wind direction: the
    wind's way east and north in metres, the seconds that had one. `valid` is by panel of a chart: the seconds and the
    rows that had any of its quantities.
    """

    pk = models.CompositePrimaryKey("organisation_id", "instrument_id", "resource", "bucket_s", "start_at")
    resource = models.CharField(max_length=16)
    sums = models.JSONField()
    valid = models.JSONField()

    def __str__(self) -> str:
        return (
            f"{self.resource}, {self.bucket_s} s of {self.instrument_id} from {self.start_at:%Y-%m-%d %H:%M}Z"
        )


class BandRollup(Rollup):
    """All spectra of one kind of bands that start in one bucket of UTC time.

    `sums` are by band: seconds × 10^(level / 10), and the seconds that had a level, so that its Leq over any buckets is
    10 log of the sum of the one by the sum of the other (R1). `valid_s` are the seconds of `count` spectra.
    """

    pk = models.CompositePrimaryKey("organisation_id", "instrument_id", "bands", "bucket_s", "start_at")
    bands = models.CharField(max_length=8, choices=FrequencyMeasurement.Bands.choices)
    valid_s = models.FloatField()
    sums = models.JSONField()

    def __str__(self) -> str:
        return f"{self.bands}, {self.bucket_s} s of {self.instrument_id} from {self.start_at:%Y-%m-%d %H:%M}Z"


class WeatherSample(SeriesRow):
    """Weather over one minute. Pressure comes in bar and is kept in hPa, as people read it."""

    wind_speed_ms = models.FloatField(null=True)
    wind_direction_deg = models.FloatField(null=True)
    temperature_c = models.FloatField(null=True)
    pressure_hpa = models.FloatField(null=True)
    humidity_pct = models.FloatField(null=True)
    precipitation_mmh = models.FloatField(null=True)


class ParticulateSample(SeriesRow):
    """Particulate matter in µg/m³."""

    pm1_ugm3 = models.FloatField(null=True)
    pm2p5_ugm3 = models.FloatField(null=True)
    pm4p25_ugm3 = models.FloatField(null=True)
    pm10_ugm3 = models.FloatField(null=True)


class GasSample(SeriesRow):
    """Gases in ppb, CO₂ in ppm; the vendor publishes no unit for `voc`."""

    co_ppb = models.FloatField(null=True)
    co2_ppm = models.FloatField(null=True)
    h2s_ppb = models.FloatField(null=True)
    no_ppb = models.FloatField(null=True)
    no2_ppb = models.FloatField(null=True)
    o3_ppb = models.FloatField(null=True)
    so2_ppb = models.FloatField(null=True)
    voc = models.FloatField(null=True)


class PeakParticleVelocity(SeriesRow):
    """PPV in mm/s and its dominant frequency in Hz, per axis."""

    v_max_x_mms = models.FloatField(null=True)
    v_max_y_mms = models.FloatField(null=True)
    v_max_z_mms = models.FloatField(null=True)
    f_dom_x_hz = models.FloatField(null=True)
    f_dom_y_hz = models.FloatField(null=True)
    f_dom_z_hz = models.FloatField(null=True)


class VibrationDose(SeriesRow):
    """VDV in m/s^1.75 (by its definition; the vendor names no unit), per axis."""

    vdv_x = models.FloatField(null=True)
    vdv_y = models.FloatField(null=True)
    vdv_z = models.FloatField(null=True)


class MonitorStats(SeriesRow):
    """The monitor's own health. Memory and disk are in MB here, while the present state gives percent."""

    cpu_pct = models.FloatField(null=True)
    mem_mb = models.FloatField(null=True)
    mem_total_mb = models.FloatField(null=True)
    cache_mb = models.FloatField(null=True)
    disk_mb = models.FloatField(null=True)
    disk_total_mb = models.FloatField(null=True)
    temperature_c = models.FloatField(null=True)
    voltage_v = models.FloatField(null=True)
    net_rx_kbit = models.FloatField(null=True)
    net_tx_kbit = models.FloatField(null=True)
    lte_rsrp = models.FloatField(null=True)
    lte_rsrq = models.FloatField(null=True)
    lte_sinr = models.FloatField(null=True)
    lte_signal = models.FloatField(null=True)
    ping_ms = models.FloatField(null=True)
