//! Durable workflow engine: history, activities, retries, timers, signals, versioning.
