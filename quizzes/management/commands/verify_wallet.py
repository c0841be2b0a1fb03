"""With the wallet elsewhere: what of it can be proven here. With the wallet here its own is run."""

from quizzes.management.commands.verify_rewards import Command

__all__ = ["Command"]
