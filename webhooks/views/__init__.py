"""The pages of the webhook inbox."""
