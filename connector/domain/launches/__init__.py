"""Rules over cohorts on their way from Amplitude to Koji."""
