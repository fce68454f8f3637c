"""Pages of fleet and instruments, below an organisation."""

from django.urls import path

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
urlpatterns = [
    path("", fleet.fleet_page, name="fleet"),
    path("fleet/columns/", fleet_views.columns_choose, name="fleet-columns"),
    path("fleet/views/", fleet_views.view_save, name="fleet-view-save"),
    path("fleet/views/<int:pk>/", fleet_views.view_page, name="fleet-view"),
    path("fleet/views/<int:pk>/remove/", fleet_views.view_remove, name="fleet-view-remove"),
    *(
        path(
            f"fleet/{kind.lower()}/", fleet_deeds.deed_page, {"kind": kind}, name=f"fleet-act-{kind.lower()}"
        )
        for kind in fleet_deeds.KINDS
    ),
    path("alerts/", alerts.alerts_page, name="alerts"),
    path("alerts/<int:pk>/", alerts.incident_page, name="incident"),
    path("alerts/<int:pk>/handle/", alerts.incident_handle, name="incident-handle"),
    path("alerts/rules/", alert_rules.alert_rules_page, name="alert-rules"),
    path("alerts/rules/new/", alert_rules.alert_rule_add, name="alert-rule-add"),
    path("alerts/rules/<int:pk>/", alert_rules.alert_rule_page, name="alert-rule"),
    path("alerts/rules/<int:pk>/switch/", alert_rules.alert_rule_switch, name="alert-rule-switch"),
    path("alerts/settings/", alert_settings.alert_settings_page, name="alert-settings"),
    path("alerts/channels/", channels.channels_page, name="channels"),
    path("alerts/channels/new/", channels.channel_add_page, name="channel-add"),
    path("alerts/channels/<int:pk>/", channels.channel_page, name="channel"),
    path("alerts/channels/<int:pk>/edit/", channels.channel_edit, name="channel-edit"),
    path("alerts/channels/<int:pk>/test/", channels.channel_try, name="channel-test"),
    path("alerts/channels/<int:pk>/remove/", channels.channel_end, name="channel-remove"),
    path("activity/", activity.activity_page, name="activity"),
    path("events/", events.events_page, name="events"),
    path("events/causes/", tags.causes_page, name="event-causes"),
    path("events/<int:pk>/", events.event_detail, name="event-detail"),
    path("events/<int:pk>/tag/", tags.tag_event, name="event-tag"),
    path("events/<int:pk>/trace.json", events.event_trace, name="event-trace"),
    path("events/<int:pk>/trace.csv", events.event_trace_csv, name="event-trace-csv"),
    path("events/<int:pk>/trace/", events.event_trace_table, name="event-trace-table"),
    path("events/<int:pk>/audio/", media.event_audio, name="event-audio"),
    path("history/<int:pk>/", timehistory.history_detail, name="history-detail"),
    path("history/<int:pk>/levels.json", timehistory.history_json, name="history-json"),
    path("history/<int:pk>/samples.csv", timehistory.history_csv, name="history-csv"),
    path("history/<int:pk>/remove/", timehistory.history_remove_page, name="history-remove"),
    path("i/<str:serial>/history/", timehistory.histories_page, name="histories"),
    path("recordings/", recordings.recordings_page, name="recordings"),
    path("recordings/<int:pk>/", recordings.recording_detail, name="recording-detail"),
    path("recordings/<int:pk>/audio/", media.recording_audio, name="recording-audio"),
    path("health/", health.health_page, name="health"),
    path("compare/", compare.compare_page, name="compare"),
    path("compare.csv", compare.compare_csv, name="compare-csv"),
    path("compare.json", compare.compare_json, name="compare-json"),
    path("record/", record.record_page, name="record"),
    path("record/missing/", record.missing_page, name="record-missing"),
    path("notifications/", notifications.notifications_page, name="notifications"),
    path("i/<str:serial>/", instrument.instrument_page, name="instrument"),
    path("i/<str:serial>/levels.json", levels.levels_json, name="levels"),
    path("i/<str:serial>/levels.csv", levels.levels_csv, name="levels-csv"),
    path("i/<str:serial>/spectrum/", spectrum.spectrum_page, name="spectrum"),
    path("i/<str:serial>/spectrum.json", spectrum.spectrum_json, name="spectrum-json"),
    path("i/<str:serial>/spectrum.csv", spectrum.spectrum_csv, name="spectrum-csv"),
    path("i/<str:serial>/spectrogram.csv", spectrum.spectrogram_csv, name="spectrogram-csv"),
    path("i/<str:serial>/spectrogram/", spectrum.spectrogram_table, name="spectrogram-table"),
    path("i/<str:serial>/spectrogram.json", spectrum.spectrogram_json, name="spectrogram"),
    path("i/<str:serial>/samples/<str:kind>.json", samples.samples_json, name="samples"),
    path("i/<str:serial>/samples/<str:kind>.csv", samples.samples_csv, name="samples-csv"),
    path("i/<str:serial>/samples/<str:kind>/", samples.samples_table, name="samples-table"),
    path("i/<str:serial>/live/", live.live_stream, name="live"),
    path("i/<str:serial>/levels/", levels.levels_table, name="levels-table"),
    path("i/<str:serial>/days/", days.days_page, name="days"),
    path("i/<str:serial>/days.csv", days.days_csv, name="days-csv"),
    path(
        "i/<str:serial>/calibrations/",
        checks.checks_page,
        {"kind": "calibrations"},
        name="calibrations",
    ),
    path("i/<str:serial>/actions/", actions.actions_page, name="actions"),
    *(
        path(
            f"i/<str:serial>/{kind.lower()}/", actions.action_page, {"kind": kind}, name=f"act-{kind.lower()}"
        )
        for kind in ActionKind
    ),
    path("i/<str:serial>/sics/", checks.checks_page, {"kind": "sics"}, name="sics"),
    *(
        path(f"i/<str:serial>/{kind}.json", checks.checks_json, {"kind": kind}, name=f"{kind}-history")
        for kind in BOARDS
    ),
    path("i/<str:serial>/sic-baseline/", checks.sic_baseline, name="sic-baseline"),
    path("i/<str:serial>/doubt/<int:found>/", doubt.doubt_page, name="doubt-review"),
    *(path(f"checks/{kind}/", boards.board_view, {"kind": kind}, name=f"checks-{kind}") for kind in BOARDS),
    *(
        path(f"checks/{kind}.csv", boards.board_csv, {"kind": kind}, name=f"checks-{kind}-csv")
        for kind in BOARDS
    ),
    path("checks/tolerances/", certificates.tolerances_page, name="checks-tolerances"),
    path("checks/tolerances/change/", certificates.tolerances_change, name="tolerances-change"),
    path("checks/certificates/", certificates.certificates_page, name="checks-certificates"),
    path("checks/certificates/add/", certificates.certificate_add, name="certificate-add"),
    path("checks/certificates/<int:pk>/remove/", certificates.certificate_remove, name="certificate-remove"),
    path("checks/calendar/", calendar.calendar_page, name="checks-calendar"),
    path("checks/calibrators/add/", certificates.calibrator_add, name="calibrator-add"),
    path("sites/", sites.sites_page, name="sites"),
    path("sites/add/", sites.site_add, name="site-add"),
    path("sites/<int:pk>/", sites.site_page, name="site"),
    path("sites/<int:pk>/edit/", sites.site_edit, name="site-edit"),
    path("sites/<int:pk>/photo/", sites.site_photo, name="site-photo"),
    path("sites/<int:pk>/deploy/", sites.site_deploy, name="site-deploy"),
    path("sites/<int:pk>/remove/", sites.site_end, name="site-remove"),
    path("deployments/<int:pk>/", sites.deployment_edit, name="deployment"),
]
