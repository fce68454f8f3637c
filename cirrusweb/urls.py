"""The address space: organisations below /o/<slug>/, everything else beside it."""

from django.contrib import admin
from django.urls import include, path

from cirrusweb import health, outbox, start, work
from monitoring.views import alert_links, calendar

urlpatterns = [
    # First, for most requests are for one of these.
    path("o/<slug:slug>/", include("monitoring.urls")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("outbox/", outbox.outbox, name="outbox"),
    path("admin/tasks/", admin.site.admin_view(work.work_page), name="admin-tasks"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("hooks/", include("webhooks.urls_hooks")),
    path("alerts/unsubscribe/<str:token>/", alert_links.alert_unsubscribe, name="alert-unsubscribe"),
    path("alerts/<str:token>/", alert_links.alert_link, name="alert-link"),
    path("calendar/<str:token>.ics", calendar.calendar_feed, name="calendar"),
    path("", include("instruments.urls")),
    path("o/<slug:slug>/start/", start.start_page, name="start"),
    path("o/<slug:slug>/webhooks/", include("webhooks.urls")),
]
