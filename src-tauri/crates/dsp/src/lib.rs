//! Filters, derivations, spectra and quality measures: pure functions and states on blocks.
