"""A sweep as one page that needs no network, and as a report in W&B."""
