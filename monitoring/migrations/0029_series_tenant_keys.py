"""On SQLite too one key holds a series' row to its instrument and organisation, in place of two and a trigger.

PostgreSQL has it since 0002. Here each table is built anew, once, all of them in one transaction: half a minute or so for
a million rows, and for a while as much disk again, twice: the new table and the log of it.
"""

import django.db.models.deletion
from django.db import migrations, models

from instruments.constraints import SqliteRebuild, SqliteTenantForeignKey

SERIES = [
    "frequencymeasurement",
    "gassample",
    "monitorstats",
    "noisemeasurement",
    "noiserollup",
    "particulatesample",
    "peakparticlevelocity",
    "vibrationdose",
    "weathersample",
]


def _key(to: str) -> "models.ForeignKey":
    return models.ForeignKey(
        to=to,
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("instruments", "0009_instrument_tenant_key"),
        ("monitoring", "0028_retention_a_century_at_most"),
    ]

    operations = [
        SqliteRebuild(SERIES, undone=True),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                operation
                for name in SERIES
                for operation in (
                    migrations.AlterField(name, "instrument", _key("instruments.instrument")),
                    migrations.AlterField(name, "organisation", _key("instruments.organisation")),
                    migrations.AddConstraint(
                        name, SqliteTenantForeignKey(field="instrument", name=f"{name}_tenant")
                    ),
                )
            ]
        ),
        SqliteRebuild(SERIES),
    ]
