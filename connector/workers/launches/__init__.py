"""Planning, the cohort webhook's messages, and links."""
