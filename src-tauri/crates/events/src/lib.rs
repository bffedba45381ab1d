//! System events, their schemas, and the durable event bus.
