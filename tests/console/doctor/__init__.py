"""The checks of the doctor, healthy and ill."""
