"""Events of a whole organisation: found, counted, and tagged by people; their sound is the media room's."""
