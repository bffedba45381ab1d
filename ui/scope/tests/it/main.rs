//! The canvas natively: what is drawn, where, and what it says of it. Pixels are those that would go to the
//! graphics side; no graphics is needed.

mod cost;
mod feed;
mod geometry;
mod hostile;
mod marks;
mod measure;
mod stage;
mod switch;
