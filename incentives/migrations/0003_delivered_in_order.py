"""What was delivered is forgotten, the oldest first."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("incentives", "0002_partners")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "delivered")),
                fields=["delivered_at"],
                name="incentives_delivery_done",
            ),
        ),
    ]
