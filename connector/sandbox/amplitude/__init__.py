"""The stand-in of Amplitude."""
