"""evenmatch: one match threshold that holds for every class."""

__version__ = "0.1.0"
