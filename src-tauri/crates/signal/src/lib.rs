//! The vocabulary of the house: what a stream, a channel, a sample block and a gap are.
//!
//! Nothing here reads a clock, touches a file or spawns a task; every other room speaks in these
//! types. Values are kept as the device delivered them: a [`SampleBlock`] holds integers or floats
//! of the stream's own [`SampleType`], channels × samples, and a channel's [`Scale`] says what one
//! count is worth. Loss is a [`Gap`], never an invented sample.

mod annotation;
mod block;
mod channel;
mod electrode;
mod epoch;
mod gap;
mod impedance;
mod limits;
mod montage;
mod positions;
mod resolve;
mod stream;
mod time;

pub use annotation::{Annotation, AnnotationId, AnnotationOrigin};
pub use block::{BlockError, SampleBlock, Samples};
pub use channel::{
    Channel, ChannelKind, DigitalRange, HardwareFilter, PhysicalRange, Reference, Scale, Unit,
};
pub use electrode::{Electrode, ParsedLabel, Side, parse_label, parse_labels, parse_reference};
pub use epoch::{Epoch, epochs};
pub use gap::{Gap, GapCause, Missing};
pub use impedance::{Impedance, ImpedanceGrade, ImpedanceLimits};
pub use limits::{MAX_CHANNELS, MAX_SAMPLES_PER_BLOCK};
pub use montage::{ColourHint, Derivation, FRONTAL_LEFT_OUT, Input, Montage, MontageError};
pub use positions::{ElectrodePositions, Position, PositionsError};
pub use resolve::{Blank, ResolvedDerivation, Weight, as_recorded};
pub use stream::{
    ClockSource, CounterSpec, SampleType, StreamDescription, StreamIndex, StreamRole,
};
pub use time::{DeviceNanos, HostNanos, NANOS_PER_S, SamplingRate, UtcNanos, ZoneOffset};
