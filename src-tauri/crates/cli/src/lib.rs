//! The workstation without a window: the neurascale command.
