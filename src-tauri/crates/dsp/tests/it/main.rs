//! Filters, spectra and quality against outside numbers.
