"""Noise measurements as recorded, every value in dB, and the sums of them that charts and reports read."""

from django.db import models

from .series import Rollup, SeriesRow


class NoiseMeasurement(SeriesRow):
    """One measurement period of one instrument, under the vendor's own names."""

    LAeq = models.FloatField(null=True)
    LCeq = models.FloatField(null=True)
    LZeq = models.FloatField(null=True)
    LAE = models.FloatField(null=True)
    LCE = models.FloatField(null=True)
    LZE = models.FloatField(null=True)
    LEX8 = models.FloatField(null=True)
    LAPeak = models.FloatField(null=True)
    LCPeak = models.FloatField(null=True)
    LZPeak = models.FloatField(null=True)
    LAFMax = models.FloatField(null=True)
    LASMax = models.FloatField(null=True)
    LAIMax = models.FloatField(null=True)
    LCFMax = models.FloatField(null=True)
    LCSMax = models.FloatField(null=True)
    LCIMax = models.FloatField(null=True)
    LZFMax = models.FloatField(null=True)
    LZSMax = models.FloatField(null=True)
    LZIMax = models.FloatField(null=True)
    LAF1 = models.FloatField(null=True)
    LAF5 = models.FloatField(null=True)
    LAF10 = models.FloatField(null=True)
    LAF50 = models.FloatField(null=True)
    LAF90 = models.FloatField(null=True)
    LAF95 = models.FloatField(null=True)
    LAF99 = models.FloatField(null=True)
    LeqT1Max = models.FloatField(null=True)
    LeqT2Max = models.FloatField(null=True)


class NoiseRollup(Rollup):
    """All measurements that start in one bucket of UTC time: sums and extremes, never a percentile (R5).

    LAeq of any range is 10 log(sum of energy / sum of valid_s) over its buckets (R1), exactly.
    """

    pk = models.CompositePrimaryKey("organisation_id", "instrument_id", "bucket_s", "start_at")
    # Sum of seconds x 10^(LAeq / 10); the seconds that had an LAeq.
    energy = models.FloatField()
    valid_s = models.FloatField()
    LAeq_min = models.FloatField(null=True)
    LAeq_max = models.FloatField(null=True)
    LAFMax = models.FloatField(null=True)
    LCPeak = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"{self.bucket_s} s of {self.instrument_id} from {self.start_at:%Y-%m-%d %H:%M}Z"
