"""A Django view that renders one page of a fleet from one query and one plain template: the least that it can cost."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template.loader import get_template

from bench.limits.site import application as bare

_ROWS = """
    SELECT i.serial, i.name, i.type, i.model, s.online, s.measuring, s.sic_passed, s.observed_at, s.level_at,
           s."LAeq", s."LAFMax", s."LCPeak", s.calibrated_at, s.calibration_status, s.sic_at, s.sic_status
    FROM instruments_instrument i
    LEFT JOIN monitoring_instrumentstatus s ON s.instrument_id = i.id
    WHERE i.organisation_id = %s AND i.gone_at IS NULL
    ORDER BY s.sic_passed, s.online, s.measuring, i.name, i.serial
    LIMIT %s
"""


def page(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, [int(request.GET["organisation"]), int(request.GET["rows"])])
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    content = get_template("page.html").render({"rows": rows}).encode()
    return HttpResponse(content, headers={"Content-Length": str(len(content))})


application = bare(page)
