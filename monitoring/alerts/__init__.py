"""From a fact to a person: rules, incidents, deliveries."""
