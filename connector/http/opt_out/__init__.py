"""The page on which an invited person says no."""
