//! Where the window stands, as the address's fragment: a page that is reloaded opens where it was.

/// A page, with what it shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Route {
    /// Today's patients.
    #[default]
    Worklist,
    /// Devices and check list before a recording.
    Prepare {
        /// Patient's opaque id.
        patient: String,
        /// Protocol's id; empty for the default.
        protocol: String,
        /// Order carried out; empty for none.
        order: String,
    },
    /// A session; empty for the one that runs.
    Session(String),
    /// A recording, or its session.
    Review(String),
    /// A session's report.
    Reports(String),
    /// The ledger, of one session or all.
    Ledger(String),
    /// Settings and diagnostics, by the name of the part.
    Settings(String),
}

impl Route {
    /// The fragment without its '#'.
    #[must_use]
    pub fn fragment(&self) -> String {
        let joined = |page: &str, parts: &[&str]| {
            let mut path = page.to_owned();
            for part in parts {
                path.push('/');
                path.push_str(part);
            }
            path.trim_end_matches('/').to_owned()
        };
        match self {
            Self::Worklist => "worklist".to_owned(),
            Self::Prepare {
                patient,
                protocol,
                order,
            } => joined("prepare", &[patient, protocol, order]),
            Self::Session(id) => joined("session", &[id]),
            Self::Review(id) => joined("review", &[id]),
            Self::Reports(id) => joined("reports", &[id]),
            Self::Ledger(id) => joined("ledger", &[id]),
            Self::Settings(part) => joined("settings", &[part]),
        }
    }

    /// The page that a fragment names; the worklist for anything else.
    #[must_use]
    pub fn of_fragment(fragment: &str) -> Self {
        let mut parts = fragment.trim_start_matches('#').split('/');
        let page = parts.next().unwrap_or_default();
        let mut next = || parts.next().unwrap_or_default().to_owned();
        match page {
            "prepare" => Self::Prepare {
                patient: next(),
                protocol: next(),
                order: next(),
            },
            "session" => Self::Session(next()),
            "review" => Self::Review(next()),
            "reports" => Self::Reports(next()),
            "ledger" => Self::Ledger(next()),
            "settings" => Self::Settings(next()),
            _ => Self::Worklist,
        }
    }

    /// Number of its tab in the bar, from 0.
    #[must_use]
    pub const fn tab(&self) -> usize {
        match self {
            Self::Worklist => 0,
            Self::Prepare { .. } | Self::Session(_) => 1,
            Self::Review(_) => 2,
            Self::Reports(_) => 3,
            Self::Ledger(_) => 4,
            Self::Settings(_) => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_comes_back_from_its_fragment() {
        let id = || "0197".to_owned();
        let pages = [
            Route::Worklist,
            Route::Prepare {
                patient: id(),
                protocol: "routine-eeg".to_owned(),
                order: id(),
            },
            Route::Prepare {
                patient: id(),
                protocol: String::new(),
                order: id(),
            },
            Route::Prepare {
                patient: id(),
                protocol: String::new(),
                order: String::new(),
            },
            Route::Session(id()),
            Route::Session(String::new()),
            Route::Review(id()),
            Route::Reports(id()),
            Route::Ledger(String::new()),
            Route::Settings("users".to_owned()),
        ];
        for page in pages {
            assert_eq!(Route::of_fragment(&page.fragment()), page);
        }
        assert_eq!(Route::of_fragment("#nonsense/1"), Route::Worklist);
    }
}
