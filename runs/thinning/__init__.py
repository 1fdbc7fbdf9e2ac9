"""A long run's curve, thinned while its batches arrive."""
