//! The engine process: the facade behind a local socket.
