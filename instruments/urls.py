"""Pages of organisations, people and keys."""

from django.urls import include, path

from instruments.views import demo, invitations, keys, organisations, people

app_name = "instruments"

_below_organisation = [
    path("settings/", organisations.organisation_settings, name="organisation-settings"),
    path("keys/", keys.keys, name="keys"),
    path("keys/add/", keys.key_add, name="key-add"),
    path("keys/<int:pk>/verify/", keys.key_verify, name="key-verify"),
    path("keys/<int:pk>/rotate/", keys.key_rotate, name="key-rotate"),
    path("keys/<int:pk>/revoke/", keys.key_revoke, name="key-revoke"),
    path("people/", people.people, name="people"),
    path("people/invite/", people.invite, name="invite"),
    path("people/invitations/<int:pk>/revoke/", people.invitation_end, name="invitation-revoke"),
    path("people/<int:pk>/role/", people.member_role, name="member-role"),
    path("people/<int:pk>/remove/", people.member_remove, name="member-remove"),
]

urlpatterns = [
    path("", organisations.organisations, name="organisations"),
    path("demo/join/", demo.join, name="demo-join"),
    path("demo/leave/", demo.leave, name="demo-leave"),
    path("organisations/new/", organisations.organisation_new, name="organisation-create"),
    path("invitations/<str:token>/", invitations.invitation, name="invitation"),
    path("o/<slug:slug>/", include(_below_organisation)),
]
