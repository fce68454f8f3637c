"""Pages of fleet and instruments, below an organisation."""

from django.urls import include, path

from monitoring.boards import BOARDS
from monitoring.live import view as live
from monitoring.models import ActionKind
from monitoring.views import (
    actions,
    activity,
    alert_rules,
    alert_settings,
    alerts,
    boards,
    calendar,
    certificates,
    channels,
    checks,
    compare,
    days,
    doubt,
    events,
    fleet,
    fleet_deeds,
    fleet_views,
    health,
    instrument,
    levels,
    media,
    notifications,
    record,
    recordings,
    samples,
    sites,
    spectrum,
    tags,
    timehistory,
)

app_name = "monitoring"

_instrument = [
    path("", instrument.instrument_page, name="instrument"),
    path("levels.json", levels.levels_json, name="levels"),
    path("levels.csv", levels.levels_csv, name="levels-csv"),
    path("spectrum/", spectrum.spectrum_page, name="spectrum"),
    path("spectrum.json", spectrum.spectrum_json, name="spectrum-json"),
    path("spectrum.csv", spectrum.spectrum_csv, name="spectrum-csv"),
    path("spectrogram.csv", spectrum.spectrogram_csv, name="spectrogram-csv"),
    path("spectrogram/", spectrum.spectrogram_table, name="spectrogram-table"),
    path("spectrogram.json", spectrum.spectrogram_json, name="spectrogram"),
    path("samples/<str:kind>.json", samples.samples_json, name="samples"),
    path("samples/<str:kind>.csv", samples.samples_csv, name="samples-csv"),
    path("samples/<str:kind>/", samples.samples_table, name="samples-table"),
    path("live/", live.live_stream, name="live"),
    path("levels/", levels.levels_table, name="levels-table"),
    path("days/", days.days_page, name="days"),
    path("days.csv", days.days_csv, name="days-csv"),
    path("history/", timehistory.histories_page, name="histories"),
    path("calibrations/", checks.checks_page, {"kind": "calibrations"}, name="calibrations"),
    path("actions/", actions.actions_page, name="actions"),
    *(
        path(f"{kind.lower()}/", actions.action_page, {"kind": kind}, name=f"act-{kind.lower()}")
        for kind in ActionKind
    ),
    path("sics/", checks.checks_page, {"kind": "sics"}, name="sics"),
    *(path(f"{kind}.json", checks.checks_json, {"kind": kind}, name=f"{kind}-history") for kind in BOARDS),
    path("sic-baseline/", checks.sic_baseline, name="sic-baseline"),
    path("doubt/<int:found>/", doubt.doubt_page, name="doubt-review"),
]

_fleet = [
    path("columns/", fleet_views.columns_choose, name="fleet-columns"),
    path("views/", fleet_views.view_save, name="fleet-view-save"),
    path("views/<int:pk>/", fleet_views.view_page, name="fleet-view"),
    path("views/<int:pk>/remove/", fleet_views.view_remove, name="fleet-view-remove"),
    *(
        path(f"{kind.lower()}/", fleet_deeds.deed_page, {"kind": kind}, name=f"fleet-act-{kind.lower()}")
        for kind in fleet_deeds.KINDS
    ),
]

_alerts = [
    path("", alerts.alerts_page, name="alerts"),
    path("<int:pk>/", alerts.incident_page, name="incident"),
    path("<int:pk>/handle/", alerts.incident_handle, name="incident-handle"),
    path("rules/", alert_rules.alert_rules_page, name="alert-rules"),
    path("rules/new/", alert_rules.alert_rule_add, name="alert-rule-add"),
    path("rules/<int:pk>/", alert_rules.alert_rule_page, name="alert-rule"),
    path("rules/<int:pk>/switch/", alert_rules.alert_rule_switch, name="alert-rule-switch"),
    path("settings/", alert_settings.alert_settings_page, name="alert-settings"),
    path("channels/", channels.channels_page, name="channels"),
    path("channels/new/", channels.channel_add_page, name="channel-add"),
    path("channels/<int:pk>/", channels.channel_page, name="channel"),
    path("channels/<int:pk>/edit/", channels.channel_edit, name="channel-edit"),
    path("channels/<int:pk>/test/", channels.channel_try, name="channel-test"),
    path("channels/<int:pk>/remove/", channels.channel_end, name="channel-remove"),
]

_events = [
    path("", events.events_page, name="events"),
    path("causes/", tags.causes_page, name="event-causes"),
    path("<int:pk>/", events.event_detail, name="event-detail"),
    path("<int:pk>/tag/", tags.tag_event, name="event-tag"),
    path("<int:pk>/trace.json", events.event_trace, name="event-trace"),
    path("<int:pk>/trace.csv", events.event_trace_csv, name="event-trace-csv"),
    path("<int:pk>/trace/", events.event_trace_table, name="event-trace-table"),
    path("<int:pk>/audio/", media.event_audio, name="event-audio"),
]

_histories = [
    path("<int:pk>/", timehistory.history_detail, name="history-detail"),
    path("<int:pk>/levels.json", timehistory.history_json, name="history-json"),
    path("<int:pk>/samples.csv", timehistory.history_csv, name="history-csv"),
    path("<int:pk>/remove/", timehistory.history_remove_page, name="history-remove"),
]

_recordings = [
    path("", recordings.recordings_page, name="recordings"),
    path("<int:pk>/", recordings.recording_detail, name="recording-detail"),
    path("<int:pk>/audio/", media.recording_audio, name="recording-audio"),
]

_checks = [
    *(path(f"{kind}/", boards.board_view, {"kind": kind}, name=f"checks-{kind}") for kind in BOARDS),
    *(path(f"{kind}.csv", boards.board_csv, {"kind": kind}, name=f"checks-{kind}-csv") for kind in BOARDS),
    path("tolerances/", certificates.tolerances_page, name="checks-tolerances"),
    path("tolerances/change/", certificates.tolerances_change, name="tolerances-change"),
    path("certificates/", certificates.certificates_page, name="checks-certificates"),
    path("certificates/add/", certificates.certificate_add, name="certificate-add"),
    path("certificates/<int:pk>/remove/", certificates.certificate_remove, name="certificate-remove"),
    path("calendar/", calendar.calendar_page, name="checks-calendar"),
    path("calibrators/add/", certificates.calibrator_add, name="calibrator-add"),
]

_sites = [
    path("", sites.sites_page, name="sites"),
    path("add/", sites.site_add, name="site-add"),
    path("<int:pk>/", sites.site_page, name="site"),
    path("<int:pk>/edit/", sites.site_edit, name="site-edit"),
    path("<int:pk>/photo/", sites.site_photo, name="site-photo"),
    path("<int:pk>/deploy/", sites.site_deploy, name="site-deploy"),
    path("<int:pk>/remove/", sites.site_end, name="site-remove"),
]

_record = [
    path("", record.record_page, name="record"),
    path("missing/", record.missing_page, name="record-missing"),
]

# By their beginnings: of some hundred addresses a request is then compared with a dozen.
urlpatterns = [
    path("i/<str:serial>/", include(_instrument)),
    path("fleet/", include(_fleet)),
    path("alerts/", include(_alerts)),
    path("events/", include(_events)),
    path("history/", include(_histories)),
    path("recordings/", include(_recordings)),
    path("checks/", include(_checks)),
    path("sites/", include(_sites)),
    path("record/", include(_record)),
    path("", fleet.fleet_page, name="fleet"),
    path("activity/", activity.activity_page, name="activity"),
    path("health/", health.health_page, name="health"),
    path("compare/", compare.compare_page, name="compare"),
    path("compare.csv", compare.compare_csv, name="compare-csv"),
    path("compare.json", compare.compare_json, name="compare-json"),
    path("notifications/", notifications.notifications_page, name="notifications"),
    path("deployments/<int:pk>/", sites.deployment_edit, name="deployment"),
]
