"""Comparing rates: the estimate of a ratio with its interval, the verdict, and what may be compared with what."""
