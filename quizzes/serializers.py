"""The quizzes' JSON; questions come from quizzes.sheet, this says how they look."""

from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from quizzes.document import LANGUAGES
from quizzes.models import Attempt
from quizzes.sheet import LONGEST_TYPED_ANSWER

TEXT = {"type": "string"}
TYPED = {"type": "string", "maxLength": LONGEST_TYPED_ANSWER}
CHOICES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["id", "text"],
        "properties": {"id": TEXT, "text": TEXT},
    },
}


def one_of(**variants: Any) -> dict[str, Any]:
    """An object for each variant: every property is required, unless its name ends in `?`."""
    return {
        "oneOf": [
            {
                "title": name,
                "type": "object",
                "required": [each for each in properties if not each.endswith("?")],
                "properties": {each.rstrip("?"): schema for each, schema in properties.items()},
                "additionalProperties": False,
            }
            for name, properties in variants.items()
        ]
    }


def identified(kind: str) -> dict[str, Any]:
    return {"id": {"type": "string", "format": "uuid"}, "type": {"const": kind}}


@extend_schema_field(
    one_of(
        SingleChoice={**identified("single_choice"), "prompt": TEXT, "options": CHOICES},
        MultipleChoice={**identified("multiple_choice"), "prompt": TEXT, "options": CHOICES},
        FillGap={
            **identified("fill_gap"),
            "text": TEXT,
            "gaps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id"],
                    "properties": {"id": TEXT, "options": CHOICES},
                },
            },
        },
        Matching={**identified("matching"), "prompt": TEXT, "left": CHOICES, "right": CHOICES},
    ),
    component_name="Question",
)
class QuestionField(serializers.JSONField):
    """One question as learners see it."""


ANSWER = one_of(
    SingleChoiceAnswer={"option": TEXT},
    MultipleChoiceAnswer={"options": {"type": "array", "items": TEXT}},
    FillGapAnswer={"gaps": {"type": "object", "additionalProperties": TYPED}},
    MatchingAnswer={"pairs": {"type": "object", "additionalProperties": TEXT}},
)


@extend_schema_field(ANSWER, component_name="Answer")
class AnswerField(serializers.JSONField):
    """An answer's body; which one depends on the question's type."""


class QuizSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    slug = serializers.SlugField()
    title = serializers.CharField()
    description = serializers.CharField()
    language = serializers.ChoiceField(LANGUAGES)
    available_languages = serializers.ListField(child=serializers.ChoiceField(LANGUAGES))
    question_count = serializers.IntegerField()


class QuizDetailSerializer(QuizSerializer):
    questions = serializers.ListField(child=QuestionField())


class StandingSerializer(serializers.Serializer[Any]):
    best_correct = serializers.IntegerField(allow_null=True)
    total = serializers.IntegerField()
    attempts = serializers.IntegerField()
    participants = serializers.IntegerField()
    average_correct = serializers.FloatField(allow_null=True)
    better_than_percent = serializers.FloatField(allow_null=True)
    reason = serializers.ChoiceField(["too_few_participants", "not_completed"], allow_null=True)


class ProgressSerializer(StandingSerializer):
    quiz = serializers.SlugField()


class QuestionShareSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    first_attempt_correct_share = serializers.FloatField(allow_null=True)


class QuizProgressSerializer(ProgressSerializer):
    questions = QuestionShareSerializer(many=True)


class GradedQuestionSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    is_correct = serializers.BooleanField()
    score = serializers.FloatField()
    answer = AnswerField()
    correct_answer = AnswerField()
    explanation = serializers.CharField(allow_blank=True)


class RewardSerializer(serializers.Serializer[Any]):
    amount = serializers.IntegerField()
    newly_rewarded = serializers.ListField(child=serializers.UUIDField())


class ResultSerializer(serializers.Serializer[Any]):
    correct = serializers.IntegerField()
    total = serializers.IntegerField()
    score = serializers.FloatField()
    questions = GradedQuestionSerializer(many=True)
    reward = RewardSerializer()
    standing = StandingSerializer()


class Status(models.TextChoices):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class AttemptScoreSerializer(serializers.Serializer[Attempt]):
    correct = serializers.IntegerField()
    total = serializers.IntegerField()
    score = serializers.FloatField()


class AttemptSummarySerializer(serializers.ModelSerializer[Attempt]):
    quiz = serializers.SlugField(source="quiz.slug")
    language = serializers.ChoiceField(LANGUAGES)
    status = serializers.SerializerMethodField()
    result = serializers.SerializerMethodField()

    class Meta:
        model = Attempt
        fields = ["id", "quiz", "language", "status", "started_at", "completed_at", "result"]
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(Status.choices))
    def get_status(self, attempt: Attempt) -> str:
        return Status.COMPLETED if attempt.is_completed else Status.IN_PROGRESS

    @extend_schema_field(AttemptScoreSerializer(allow_null=True))
    def get_result(self, attempt: Attempt) -> dict[str, Any] | None:
        return dict(AttemptScoreSerializer(attempt).data) if attempt.is_completed else None


class AttemptSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    quiz = serializers.SlugField()
    language = serializers.ChoiceField(LANGUAGES)
    status = serializers.ChoiceField(Status.choices)
    started_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    questions = serializers.ListField(child=QuestionField())
    answers = serializers.DictField(child=AnswerField(), help_text="By question id.")
    result = ResultSerializer(allow_null=True)


class SavedAnswerSerializer(serializers.Serializer[Any]):
    """The last four only in a quiz with immediate feedback, once the answer is whole."""

    question = serializers.UUIDField()
    answer = AnswerField()
    is_correct = serializers.BooleanField(required=False)
    score = serializers.FloatField(required=False)
    correct_answer = AnswerField(required=False)
    explanation = serializers.CharField(required=False, allow_blank=True)
