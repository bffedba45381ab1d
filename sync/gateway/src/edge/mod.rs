//! The edge: what stands between clients and the services that are registered.
//!
//! [`Proxy`] sends requests to instances of services, chosen by [`balance`] and guarded by a [`Breaker`]
//! each; [`rate_limit`] bounds what a consumer may ask.

pub mod balance;
mod body;
mod breaker;
mod budget;
mod describe;
mod dispatch;
mod headers;
mod pool;
mod proxy;
mod rate;
mod rate_limit;
mod rules;
mod stats;
mod tunnel;
mod window;

pub(crate) use describe::describe;

pub use breaker::{Breaker, BreakerOptions, BreakerState, Permit};
pub use pool::{Healthy, InstanceReading};
pub use proxy::{OptionsError, Proxy, ProxyOptions, ROUTES};
pub use rate::{Decision, RateLimiter, RateOptions, Standing};
pub use rate_limit::{RateLimit, rate_limit};
pub use rules::{Protocol, Rule};
pub use stats::{EdgeStats, Latency, LatencyReading, RouteReading, RouteStats};
