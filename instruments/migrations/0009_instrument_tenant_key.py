"""On SQLite too a child can refer to the organisation and the id of an instrument; PostgreSQL has this since 0002."""

from django.db import migrations

from instruments.constraints import SqliteTenantParent


class Migration(migrations.Migration):
    dependencies = [("instruments", "0008_day_parts")]

    operations = [
        migrations.AddConstraint(
            model_name="instrument",
            constraint=SqliteTenantParent(fields=("organisation", "id"), name="instrument_tenant_key"),
        ),
    ]
