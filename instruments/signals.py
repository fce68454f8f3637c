"""What this app tells others, who must not be imported from here."""

from django.dispatch import Signal

# Sent after commit with organisation_id and api_key_id when a key was added, verified, rotated or revoked.
api_key_changed = Signal()
