"""The database holds children of keys, instruments and memberships to one organisation."""

from django.db import migrations

from instruments.constraints import TenantForeignKey, TenantParent


class Migration(migrations.Migration):
    dependencies = [("instruments", "0001_initial")]

    operations = [
        TenantParent("ApiKey"),
        TenantParent("Instrument"),
        TenantParent("Membership"),
        TenantForeignKey("Instrument", "api_key"),
    ]
