"""The database holds webhooks and their registration to the organisation of their key."""

from django.db import migrations

from instruments.constraints import TenantForeignKey


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial"), ("instruments", "0002_tenant_keys")]

    operations = [
        TenantForeignKey("Registration", "api_key"),
        TenantForeignKey("Subscription", "api_key"),
    ]
