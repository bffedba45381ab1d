//! Composition root and facade: the only place that wires rooms.
