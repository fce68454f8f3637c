"""Keeping rollups of spectra exact: what changed is summed anew from its own rows, as in rollups.py.

In Python, because the sets of bands differ between instruments, and a document of them is read faster than taken apart
by either database.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from instruments.models import Instrument
from monitoring.charts.spectra import BandSums, band_sums
from monitoring.models import BandRollup, Bucket
from monitoring.sync.rollups import bucket_start
from monitoring.sync.upsert import series_write


def band_rollups_refresh(
    *, instrument: Instrument, bands: str, first: datetime, last: datetime, usual_s: float
) -> None:
    """Sum anew every bucket that a spectrum starting in [first, last] falls into.

    ``usual_s`` stands for the length of one that MyCirrus did not give.
    """
    since, until = _reach(first, last, Bucket.QUARTER)
    _write(
        instrument,
        bands,
        Bucket.QUARTER,
        band_sums(instrument, bands, since, until, Bucket.QUARTER, usual_s),
    )
    for shorter, longer in pairwise(sorted(Bucket)):
        since, until = _reach(first, last, longer)
        rows = BandRollup.objects.filter(
            instrument=instrument, bands=bands, bucket_s=shorter, start_at__gte=since, start_at__lt=until
        )
        summed: dict[int, BandSums] = defaultdict(BandSums)
        for at, *told in rows.values_list("start_at", "count", "valid_s", "sums"):
            summed[int(at.timestamp()) // longer * longer].join(*told)
        _write(instrument, bands, longer, summed)


def _reach(first: datetime, last: datetime, bucket_s: int) -> tuple[datetime, datetime]:
    return bucket_start(first, bucket_s), bucket_start(last, bucket_s) + timedelta(seconds=bucket_s)


def _write(instrument: Instrument, bands: str, bucket: Bucket, summed: Mapping[int, BandSums]) -> None:
    told = [summed[start] for start in sorted(summed)]
    series_write(
        BandRollup,
        {
            "organisation_id": [instrument.organisation_id] * len(told),
            "instrument_id": [instrument.pk] * len(told),
            "bands": [bands] * len(told),
            "bucket_s": [bucket.value] * len(told),
            "start_at": [datetime.fromtimestamp(start, tz=UTC) for start in sorted(summed)],
            "count": [each.count for each in told],
            "valid_s": [each.valid_s for each in told],
            "sums": [each.sums for each in told],
        }
        if told
        else {},
    )
