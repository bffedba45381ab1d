//! Limits and defaults of signing in at a hospital's own identity provider.

use std::time::Duration;

/// How long somebody may take to sign in at their provider, second factor included.
pub const FLOW_FOR: Duration = Duration::from_secs(10 * 60);

/// How long somebody stays signed in before their provider is asked again whether they still belong there;
/// a shift, as for the refresh token of a password.
pub const SESSION_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// How long a provider's discovery document is good; keys that are not known are looked for at once.
pub const DISCOVERY_FOR: Duration = Duration::from_secs(60 * 60);

/// How long a provider may take to answer: somebody waits for it.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer of a provider, bytes: a discovery document has some 5 KB, tokens with many groups some 20.
pub const ANSWER_BYTES: usize = 256 * 1024;

/// How old a provider's word may be, beside the leeway of clocks: it was made a moment ago, for this code.
pub const ID_TOKEN_AGE: Duration = Duration::from_secs(10 * 60);

/// Longest `sub`, characters (OpenID Connect Core 1.0, section 2).
pub const MAX_SUBJECT_CHARS: usize = 255;

/// Longest name that is taken over from a provider, characters.
pub const MAX_DISPLAY_NAME_CHARS: usize = 128;

/// Longest name of a provider, bytes: with 16 letters more it still is a login.
pub const MAX_NAME_BYTES: usize = 40;

/// Longest state that is looked at, bytes; one with the longest redirect address has some 3 KB.
pub const MAX_STATE_BYTES: usize = 4 * 1024;

/// Longest code that is passed on, bytes; Entra ID's have some 1.5 KB.
pub const MAX_CODE_BYTES: usize = 4 * 1024;

/// Longest redirect address, bytes.
pub const MAX_REDIRECT_BYTES: usize = 1024;
