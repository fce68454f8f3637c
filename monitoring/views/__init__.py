"""The pages of fleet and instruments: they choose what to show and leave every rule to its room."""
