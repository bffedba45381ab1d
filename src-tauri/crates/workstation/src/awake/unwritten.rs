//! Systems on which holding off sleep is not written.

use super::Obstacle;

/// Never taken here.
#[derive(Debug)]
pub(super) enum Locks {}

impl Locks {
    pub(super) fn refused(&self) -> Vec<&'static str> {
        match *self {}
    }

    pub(super) async fn lost(&mut self) {
        match *self {}
    }
}

pub(super) async fn take() -> Result<Locks, Obstacle> {
    Err(Obstacle {
        manager: false,
        why: "this program does not hold sleep off on this system yet".to_owned(),
        remedy: "Turn sleep and automatic restarts off in the system's settings.",
    })
}
