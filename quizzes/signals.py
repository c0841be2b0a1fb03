"""What other apps may listen to; none of them is known here."""

from django.dispatch import Signal

# Sent in the completion's own transaction, with `attempt`.
quiz_completed = Signal()
