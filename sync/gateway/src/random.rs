//! The gateway's randomness: one generator, seeded by the system or by a test.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rand::{CryptoRng, SeedableRng, rngs::StdRng};

/// Random values for keys, ids and salts. Clones share the generator.
#[derive(Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

impl Random {
    /// Seeded by the operating system.
    pub fn from_system() -> Result<Self, rand::rngs::SysError> {
        Ok(Self::new(StdRng::try_from_rng(&mut rand::rngs::SysRng)?))
    }

    /// The same values in every run: for tests.
    pub fn from_seed(seed: u64) -> Self {
        Self::new(StdRng::seed_from_u64(seed))
    }

    fn new(rng: StdRng) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    /// So many random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        bytes
    }

    /// Lends the generator.
    pub fn with<T>(&self, use_it: impl FnOnce(&mut dyn CryptoRng) -> T) -> T {
        // A generator has no half-made state that a panic elsewhere could leave.
        use_it(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
