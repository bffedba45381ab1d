//! Every text of the pages, in English and German, by key. What the engine says (errors, alerts, notes)
//! comes as a sentence already and is shown as it is.

pub mod codes;
pub mod common;
pub mod ledger;
pub mod reports;
pub mod review;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod worklist;

use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// Language of the pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// Both, with the name each has for itself.
    pub const ALL: [(Self, &'static str); 2] =
        [(Self::English, "English"), (Self::German, "Deutsch")];

    /// Tag for the page's `lang`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// Language that a browser's tag ('de-AT') asks for.
    #[must_use]
    pub fn of_tag(tag: &str) -> Self {
        if tag.to_ascii_lowercase().starts_with("de") {
            Self::German
        } else {
            Self::English
        }
    }
}

/// One text in every language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// English.
    pub en: &'static str,
    /// German.
    pub de: &'static str,
}

impl Text {
    /// The text in a language.
    #[must_use]
    pub const fn in_language(self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::German => self.de,
        }
    }
}

thread_local! {
    // The whole page is made anew when the language changes, so a plain cell serves all of it.
    static LANGUAGE: Cell<Language> = const { Cell::new(Language::English) };
}

/// Language from now on.
pub fn speak(language: Language) {
    LANGUAGE.set(language);
}

/// The text in the language that is spoken.
#[must_use]
pub fn t(text: Text) -> &'static str {
    text.in_language(LANGUAGE.get())
}

/// The text with each `{name}` replaced.
#[must_use]
pub fn fill(text: Text, values: &[(&str, &str)]) -> String {
    let mut filled = t(text).to_owned();
    for (name, value) in values {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    filled
}

/// Declares texts: `NAME = "English", "German";`.
macro_rules! texts {
    ($($name:ident = $en:literal, $de:literal;)*) => {
        $(
            #[doc = $en]
            pub const $name: $crate::words::Text = $crate::words::Text { en: $en, de: $de };
        )*
        /// All of them with their keys.
        pub const ALL: &[(&str, $crate::words::Text)] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use texts;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn all() -> Vec<(&'static str, Text)> {
        [
            common::ALL,
            ledger::ALL,
            reports::ALL,
            review::ALL,
            session::ALL,
            settings::ALL,
            sign_in::ALL,
            worklist::ALL,
        ]
        .concat()
    }

    /// Names in braces, which both languages must fill alike.
    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn every_text_exists_in_both_languages_with_the_same_places() {
        for (key, text) in all() {
            assert!(
                !text.en.trim().is_empty() && !text.de.trim().is_empty(),
                "{key}"
            );
            assert_eq!(places(text.en), places(text.de), "{key}");
            assert_eq!(
                text.en.ends_with('.'),
                text.de.ends_with('.'),
                "{key}: one is a sentence, the other is not"
            );
        }
    }

    #[test]
    fn places_are_filled_in_the_language_spoken() {
        let text = Text {
            en: "{n} of {all}",
            de: "{n} von {all}",
        };
        speak(Language::German);
        assert_eq!(fill(text, &[("n", "1"), ("all", "2")]), "1 von 2");
        speak(Language::English);
        assert_eq!(fill(text, &[("n", "1"), ("all", "2")]), "1 of 2");
    }

    #[test]
    fn a_browsers_tag_chooses_the_language() {
        assert_eq!(Language::of_tag("de-AT"), Language::German);
        assert_eq!(Language::of_tag("en"), Language::English);
        assert_eq!(Language::of_tag("fr"), Language::English);
    }
}
