from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('quizzes', '0001_initial'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='quiz',
            options={'ordering': ['slug'], 'permissions': [('publish_quiz', 'Can publish and archive quizzes')], 'verbose_name_plural': 'quizzes'},
        ),
    ]
