"""Launches, their invitations, and messages of the cohort webhook."""
