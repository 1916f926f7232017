"""Searching for settings: the space, the study on disk, its trials, and the recipe that is left."""
