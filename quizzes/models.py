"""Quizzes in immutable versions, attempts at them, and what the attempts added up to."""

import uuid
from functools import lru_cache

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import MD5, Cast, Now

from common.uuid7 import uuid7
from quizzes.document import Document, Language, read_document
from quizzes.sheet import Sheet

COINS_PER_QUESTION = 100


class QuizQuerySet(models.QuerySet["Quiz"]):
    def offered(self) -> "QuizQuerySet":
        """Those that learners may start now."""
        return self.filter(published__isnull=False, archived_at=None)

    def get_by_natural_key(self, slug: str) -> "Quiz":
        return self.get(slug=slug)


class Quiz(models.Model):
    """What stays the same over all versions: the slug, and the salt of the ids learners see."""

    slug = models.CharField(max_length=100, unique=True)
    salt = models.UUIDField(default=uuid.uuid4, editable=False)
    published = models.OneToOneField(
        "QuizVersion", models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = QuizQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]
        verbose_name_plural = "quizzes"
        permissions = [("publish_quiz", "Can publish and archive quizzes")]

    def __str__(self) -> str:
        return self.slug

    def natural_key(self) -> tuple[str]:
        return (self.slug,)

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None


class QuizVersionManager(models.Manager["QuizVersion"]):
    def get_by_natural_key(self, slug: str, number: int) -> "QuizVersion":
        return self.get(quiz__slug=slug, number=number)


class QuizVersion(models.Model):
    """One document. A draft may still be edited; what was published never changes again."""

    quiz = models.ForeignKey(Quiz, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    digest = models.GeneratedField(
        expression=MD5(Cast("document", models.TextField())),
        output_field=models.CharField(max_length=32),
        db_persist=True,
    )
    # What was complete when it was published; a draft's are asked of its document.
    languages = ArrayField(models.CharField(max_length=2), default=list, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = QuizVersionManager()

    class Meta:
        ordering = ["quiz", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["quiz", "number"], name="quizzes_version_number_unique"
            ),
            models.CheckConstraint(
                condition=Q(published_at=None) | Q(languages__len__gt=0),
                name="quizzes_version_published_has_language",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="published_is_final",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__published_at__isnull=False)
                & (
                    pgtrigger.Q(old__document__df=pgtrigger.F("new__document"))
                    | pgtrigger.Q(old__languages__df=pgtrigger.F("new__languages"))
                    | pgtrigger.Q(old__quiz__df=pgtrigger.F("new__quiz"))
                    | pgtrigger.Q(old__published_at__df=pgtrigger.F("new__published_at"))
                ),
            ),
            pgtrigger.Protect(
                name="published_stays",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__published_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quiz_id} v{self.number}"

    def natural_key(self) -> tuple[str, int]:
        return (self.quiz.slug, self.number)

    @property
    def is_published(self) -> bool:
        return self.published_at is not None

    @property
    def content(self) -> Document:
        """The document, read: once per process, because its digest never means another."""
        return read_version(self.pk, self.digest)

    def sheets(self, salt: uuid.UUID, language: Language) -> list[Sheet]:
        return [Sheet(question, salt.bytes, language) for question in self.content.questions]


@lru_cache(maxsize=256)
def read_version(version_id: int, digest: str) -> Document:
    version = QuizVersion.objects.only("document").get(pk=version_id)
    return read_document(version.document)


class Question(models.Model):
    """A question's identity over all versions; its id comes of the quiz's salt and its key."""

    id = models.UUIDField(primary_key=True)
    quiz = models.ForeignKey(Quiz, models.PROTECT, related_name="questions")
    key = models.CharField(max_length=100)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["quiz", "key"], name="quizzes_question_key_unique"),
        ]

    def __str__(self) -> str:
        return self.key


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def of(self, user_id: str) -> "AttemptQuerySet":
        return self.filter(user_id=user_id)

    def with_version(self) -> "AttemptQuerySet":
        """With quiz and version but not its document, which is in memory already."""
        return self.select_related("quiz", "version").defer("version__document")


class Attempt(models.Model):
    """One learner's way through one version in one language; answers name keys, not ids."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user_id = models.CharField(max_length=36)
    quiz = models.ForeignKey(Quiz, models.PROTECT, related_name="attempts")
    version = models.ForeignKey(QuizVersion, models.PROTECT, related_name="+")
    language = models.CharField(max_length=2)
    answers = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    # Verdicts and standing as they were at completion: later code and learners change neither.
    grades = models.JSONField(null=True, blank=True)
    correct = models.PositiveIntegerField(null=True, blank=True)
    total = models.PositiveIntegerField(null=True, blank=True)
    score = models.DecimalField(max_digits=5, decimal_places=4, null=True, blank=True)
    standing = models.JSONField(null=True, blank=True)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "quiz"],
                condition=Q(completed_at=None),
                name="quizzes_attempt_one_open",
            ),
            models.CheckConstraint(
                condition=Q(
                    completed_at=None,
                    grades=None,
                    correct=None,
                    total=None,
                    score=None,
                    standing=None,
                )
                | Q(
                    completed_at__isnull=False,
                    grades__isnull=False,
                    correct__isnull=False,
                    total__isnull=False,
                    score__isnull=False,
                ),
                name="quizzes_attempt_graded_when_completed",
            ),
        ]
        indexes = [
            models.Index("user_id", F("id").desc(), name="quizzes_attempt_of_user"),
            models.Index(
                "quiz",
                F("completed_at").desc(),
                condition=Q(completed_at__isnull=False),
                name="quizzes_attempt_completed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quiz} by {self.user_id}"

    @property
    def is_completed(self) -> bool:
        return self.completed_at is not None

    @property
    def sheets(self) -> list[Sheet]:
        return self.version.sheets(self.quiz.salt, self.language)  # type: ignore[arg-type]


class QuestionReward(models.Model):
    """A question is paid to a user once, for ever: across attempts, versions and languages."""

    user_id = models.CharField(max_length=36)
    question = models.ForeignKey(Question, models.PROTECT, related_name="+")
    attempt = models.ForeignKey(Attempt, models.PROTECT, related_name="rewards")
    amount = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "question"], name="quizzes_reward_once_per_user_and_question"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="quizzes_reward_pays"),
        ]

    def __str__(self) -> str:
        return f"{self.question} of {self.question.quiz} for {self.user_id}"


class Participant(models.Model):
    """A user's best at a quiz, over their completed attempts."""

    user_id = models.CharField(max_length=36)
    quiz = models.ForeignKey(Quiz, models.PROTECT, related_name="+")
    attempts = models.PositiveIntegerField()
    best_correct = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user_id", "quiz"], name="quizzes_participant_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} at {self.quiz_id}: {self.best_correct}"


class ScoreCount(models.Model):
    """How many participants have this many correct as their best: the quiz's histogram."""

    quiz = models.ForeignKey(Quiz, models.PROTECT, related_name="+")
    correct = models.PositiveIntegerField()
    participants = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["quiz", "correct"], name="quizzes_scorecount_once"),
        ]

    def __str__(self) -> str:
        return f"{self.quiz_id}: {self.participants} with {self.correct}"


class QuestionTally(models.Model):
    """How participants did on a question in their first completed attempt, per language."""

    question = models.ForeignKey(Question, models.PROTECT, related_name="tallies")
    language = models.CharField(max_length=2)
    answered = models.PositiveIntegerField()
    correct = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "question tallies"
        constraints = [
            models.UniqueConstraint(fields=["question", "language"], name="quizzes_tally_once"),
            models.CheckConstraint(
                condition=Q(correct__lte=F("answered")), name="quizzes_tally_correct_of_answered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.question_id} {self.language}: {self.correct}/{self.answered}"
