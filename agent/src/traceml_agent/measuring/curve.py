"""A run's energy over its time, as few points as a small chart can show."""

from __future__ import annotations

MOST_POINTS = 240


class Curve:
    """Points of (seconds since the run's start, joules so far). If there are too many, those closest together go."""

    def __init__(self):
        self.points: list[tuple[float, float]] = []

    def add(self, t_s: float, energy_j: float) -> None:
        self.points.append((t_s, energy_j))
        if len(self.points) > MOST_POINTS:
            kept, apart_s = self.points[:1], 2 * t_s / MOST_POINTS
            for point in self.points[1:]:
                if point[0] - kept[-1][0] >= apart_s:
                    kept.append(point)
            self.points = kept

    def powers(self) -> list[tuple[float, float, float]]:
        """Each interval with its beginning and end, in seconds, and its mean power in watts."""
        pairs = zip(self.points, self.points[1:], strict=False)
        return [
            (from_s, to_s, max(to_j - from_j, 0.0) / (to_s - from_s))
            for (from_s, from_j), (to_s, to_j) in pairs
            if to_s > from_s
        ]
