//! Our files read by programs that others wrote.
