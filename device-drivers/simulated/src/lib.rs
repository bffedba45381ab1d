//! Seeded physiological simulator with scripted faults; playback of EDF and BDF files.
