"""The quizzes' back office: writing, previewing, publishing, and how learners do."""

from quizzes.admin.attempts import AttemptAdmin, QuestionRewardAdmin
from quizzes.admin.quizzes import QuizAdmin

__all__ = ["AttemptAdmin", "QuestionRewardAdmin", "QuizAdmin"]
