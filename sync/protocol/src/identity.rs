//! Who asks.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What somebody may be. Which role may do what is decided by the gateway's policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the gateway; the only one who is not bound to a site.
    SuperAdmin,
    /// Runs a site: its people, devices and services.
    Admin,
    /// Treats patients.
    Clinician,
    /// Works with de-identified recordings.
    Researcher,
    /// Records.
    Technician,
    /// Sees what is their own.
    Patient,
    /// A workstation.
    Device,
    /// A program behind the gateway.
    Service,
}

impl Role {
    /// All of them, the mightiest first.
    pub const ALL: [Self; 8] = [
        Self::SuperAdmin,
        Self::Admin,
        Self::Clinician,
        Self::Researcher,
        Self::Technician,
        Self::Patient,
        Self::Device,
        Self::Service,
    ];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SuperAdmin => "super_admin",
            Self::Admin => "admin",
            Self::Clinician => "clinician",
            Self::Researcher => "researcher",
            Self::Technician => "technician",
            Self::Patient => "patient",
            Self::Device => "device",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role {0:?}")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// Who asks, once that is proven by a token or a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Opaque id of the person, device or service.
    pub subject: String,
    /// The site (tenant) they belong to; every decision compares it.
    pub site: String,
    /// What they may be.
    pub roles: Vec<Role>,
    /// Whose limits apply and under whose name requests are counted: the issuer's consumer.
    pub consumer: String,
}

impl Principal {
    /// Whether they have this role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
