"""The ways to tell: one send function for each kind of channel, and what a failure means for the next try."""
