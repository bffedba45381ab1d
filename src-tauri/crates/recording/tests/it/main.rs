//! The journal from outside: recorded, cut, damaged, killed, read again.

mod common;
mod damage;
mod golden;
mod kill;
mod overview;
mod power;
mod round_trip;
