//! Physical dimensions as files write them.

use signal::Unit;

/// The unit behind a file's text; [`Unit::Other`] keeps what is not known. Micro may be u, the
/// micro sign or the Greek letter, in UTF-8 or Latin-1.
#[must_use]
pub fn parse_unit(text: &str) -> Unit {
    match text.trim() {
        "uV" | "µV" | "μV" | "UV" | "uv" | "microV" => Unit::Microvolt,
        "mV" | "mv" | "MV" => Unit::Millivolt,
        "nV" => Unit::Nanovolt,
        "V" | "v" => Unit::Volt,
        "%" => Unit::Percent,
        "g" | "G" => Unit::G,
        "deg/s" | "°/s" | "dps" => Unit::DegreePerSecond,
        "degC" | "°C" | "C" | "DegC" => Unit::DegreeCelsius,
        "bpm" | "BPM" | "/min" | "1/min" => Unit::PerMinute,
        "Boolean" => Unit::Count,
        other => Unit::Other(other.to_owned()),
    }
}
