"""The public address that MyCirrus posts to."""

from django.urls import path

from webhooks import endpoint

urlpatterns = [
    path("<str:token>/", endpoint.hook, name="hook"),
    # An address typed without its last slash must not lose a message to a redirect.
    path("<str:token>", endpoint.hook),
]
