"""Rules over interviews on their way from Koji to Amplitude."""
