"""Pages of the webhook inbox, below an organisation."""

from django.urls import path

from webhooks.views import addresses, inbox, registration

app_name = "webhooks"
urlpatterns = [
    path("", inbox.inbox, name="inbox"),
    path("deliveries/<int:pk>/", inbox.delivery_detail, name="delivery-detail"),
    path("deliveries/<int:pk>/replay/", inbox.delivery_again, name="delivery-replay"),
    path("deliveries/replay/", inbox.deliveries_again, name="deliveries-replay"),
    path("registration/", registration.registration, name="registration"),
    path("registration/start/", registration.registration_start, name="registration-start"),
    path("registration/compare/", registration.registration_compare, name="registration-compare"),
    path("address/", addresses.subscriptions, name="subscriptions"),
    path("address/change/", addresses.address_new, name="address-rotate"),
    path("secrets/<int:pk>/remove/", addresses.subscription_delete, name="subscription-remove"),
]
