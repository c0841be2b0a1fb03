"""Staff look at everybody's achievements, the latest first."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("incentives", "0003_delivered_in_order")]

    operations = [
        AddIndexConcurrently(
            model_name="achievement",
            index=models.Index(fields=["-granted_at", "-id"], name="incentives_achievement_latest"),
        ),
    ]
