//! Every hot key in one table. Those with Ctrl or Alt and the function keys work while a text is typed.

use crate::words::{Text, common, review, session};

/// What a hot key asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ends what acts on the patient.
    EmergencyStop,
    /// Hides or shows the patient's identity.
    Privacy,
    /// Locks the window.
    Lock,
    /// Dark or light.
    Theme,
    /// Lists the hot keys.
    Help,
    /// Opens a page by its tab, from 0.
    Tab(usize),
    /// A coded annotation of the protocol, by its key ('F5').
    Coded(String),
    /// To the field of the note.
    Note,
    /// Withdraws the annotation just placed.
    Undo,
    /// Live traces stand still, or go on.
    Freeze,
    /// Mutes the sound of alerts, or not.
    Mute,
    /// A page earlier or later.
    Page(i8),
    /// A second earlier or later.
    Second(i8),
    /// To the begin.
    Begin,
    /// To the end.
    End,
    /// More (1) or fewer (-1) µV/mm.
    Sensitivity(i8),
    /// More (1) or fewer (-1) seconds a page.
    TimeBase(i8),
    /// The next montage.
    Montage,
    /// To the next (1) or last (-1) annotation.
    Annotation(i8),
    /// To the next gap.
    Gap,
}

/// Where a hot key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Everywhere.
    Everywhere,
    /// Where traces run or stand.
    Traces,
    /// While a session runs.
    Session,
    /// Where one pages through a recording.
    Review,
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct HotKey {
    /// As it is shown: 'Ctrl+.'.
    pub chord: &'static str,
    /// What it asks for.
    pub action: Action,
    /// Where it holds.
    pub place: Place,
    /// What it does, for people.
    pub what: Text,
}

const fn key(chord: &'static str, action: Action, place: Place, what: Text) -> HotKey {
    HotKey {
        chord,
        action,
        place,
        what,
    }
}

/// The table. Function keys come from the session's protocol ([`Action::Coded`]).
pub const HOT_KEYS: &[HotKey] = &[
    key(
        "Ctrl+.",
        Action::EmergencyStop,
        Place::Everywhere,
        common::EMERGENCY_STOP,
    ),
    key(
        "Ctrl+H",
        Action::Privacy,
        Place::Everywhere,
        common::KEY_PRIVACY,
    ),
    key("Ctrl+L", Action::Lock, Place::Everywhere, common::KEY_LOCK),
    key(
        "Ctrl+D",
        Action::Theme,
        Place::Everywhere,
        common::KEY_THEME,
    ),
    key("?", Action::Help, Place::Everywhere, common::KEY_HELP),
    key("Alt+1", Action::Tab(0), Place::Everywhere, common::WORKLIST),
    key("Alt+2", Action::Tab(1), Place::Everywhere, common::SESSION),
    key("Alt+3", Action::Tab(2), Place::Everywhere, common::REVIEW),
    key("Alt+4", Action::Tab(3), Place::Everywhere, common::REPORTS),
    key("Alt+5", Action::Tab(4), Place::Everywhere, common::LEDGER),
    key("Alt+6", Action::Tab(5), Place::Everywhere, common::SETTINGS),
    key("N", Action::Note, Place::Session, session::KEY_NOTE),
    key(
        "Ctrl+Z",
        Action::Undo,
        Place::Session,
        session::UNDO_ANNOTATION,
    ),
    key("Space", Action::Freeze, Place::Session, session::KEY_FREEZE),
    key("A", Action::Mute, Place::Session, session::KEY_MUTE),
    key(
        "+",
        Action::Sensitivity(-1),
        Place::Traces,
        review::KEY_LARGER,
    ),
    key(
        "-",
        Action::Sensitivity(1),
        Place::Traces,
        review::KEY_SMALLER,
    ),
    key(
        "[",
        Action::TimeBase(-1),
        Place::Traces,
        review::KEY_SHORTER,
    ),
    key("]", Action::TimeBase(1), Place::Traces, review::KEY_LONGER),
    key("M", Action::Montage, Place::Traces, review::KEY_MONTAGE),
    key(
        "ArrowLeft",
        Action::Page(-1),
        Place::Review,
        review::PAGE_BACK,
    ),
    key(
        "ArrowRight",
        Action::Page(1),
        Place::Review,
        review::PAGE_ON,
    ),
    key(
        "Shift+ArrowLeft",
        Action::Second(-1),
        Place::Review,
        review::SECOND_BACK,
    ),
    key(
        "Shift+ArrowRight",
        Action::Second(1),
        Place::Review,
        review::SECOND_ON,
    ),
    key("Home", Action::Begin, Place::Review, review::TO_BEGIN),
    key("End", Action::End, Place::Review, review::TO_END),
    key(
        "J",
        Action::Annotation(1),
        Place::Review,
        review::NEXT_ANNOTATION,
    ),
    key(
        "K",
        Action::Annotation(-1),
        Place::Review,
        review::LAST_ANNOTATION,
    ),
    key("G", Action::Gap, Place::Review, review::NEXT_GAP),
];

/// A key that went down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pressed {
    /// The browser's name of it.
    pub key: String,
    /// With Ctrl (or ⌘).
    pub ctrl: bool,
    /// With Alt.
    pub alt: bool,
    /// With Shift.
    pub shift: bool,
    /// A text is being typed: the key belongs to it unless it is a chord or function key.
    pub typing: bool,
}

/// Places whose keys hold now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// Traces are shown.
    pub traces: bool,
    /// A session runs.
    pub session: bool,
    /// One pages through a recording.
    pub review: bool,
}

impl Places {
    const fn hold(self, place: Place) -> bool {
        match place {
            Place::Everywhere => true,
            Place::Traces => self.traces,
            Place::Session => self.session,
            Place::Review => self.review,
        }
    }
}

fn is_function_key(key: &str) -> bool {
    key.strip_prefix('F').is_some_and(|number| {
        number
            .parse::<u8>()
            .is_ok_and(|number| (1..=24).contains(&number))
    })
}

/// Whether a chord of the table is what was pressed.
fn matches(chord: &str, pressed: &Pressed) -> bool {
    // '+' itself is a key, so the chord is not simply split at it.
    let (mods, name) = match chord.rfind('+') {
        Some(at) if at > 0 && at + 1 < chord.len() => (&chord[..at], &chord[at + 1..]),
        _ => ("", chord),
    };
    let name = if name == "Space" { " " } else { name };
    let has = |wanted: &str| mods.split('+').any(|one| one == wanted);
    // Where a sign stands on the keyboard, and whether it takes Shift, differs from country to country.
    let sign = name.chars().count() == 1 && !name.chars().any(char::is_alphanumeric);
    pressed.key.eq_ignore_ascii_case(name)
        && pressed.ctrl == has("Ctrl")
        && pressed.alt == has("Alt")
        && (sign || pressed.shift == has("Shift"))
}

/// What a key asks for where the window stands; `None` when it is no hot key there.
#[must_use]
pub fn find(pressed: &Pressed, places: Places) -> Option<Action> {
    if is_function_key(&pressed.key) && !pressed.ctrl && !pressed.alt {
        return places.session.then(|| Action::Coded(pressed.key.clone()));
    }
    let found = HOT_KEYS
        .iter()
        .find(|row| places.hold(row.place) && matches(row.chord, pressed))?;
    // Undo belongs to the text while one is typed; a plain key is a letter of it.
    let chord = pressed.ctrl || pressed.alt;
    (!pressed.typing || (chord && found.action != Action::Undo)).then(|| found.action.clone())
}

/// The chord of an action, to be shown in its control.
#[must_use]
pub fn chord(action: &Action) -> &'static str {
    HOT_KEYS
        .iter()
        .find(|row| row.action == *action)
        .map_or("", |row| row.chord)
}

/// A chord as it is shown: arrows and the blank have their signs.
#[must_use]
pub fn shown(chord: &str) -> String {
    chord
        .replace("ArrowLeft", "←")
        .replace("ArrowRight", "→")
        .replace("Shift+", "⇧")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Places = Places {
        traces: true,
        session: true,
        review: true,
    };

    fn press(chord: &str) -> Pressed {
        let parts: Vec<_> = chord.split('|').collect();
        Pressed {
            key: parts[parts.len() - 1].to_owned(),
            ctrl: parts.contains(&"ctrl"),
            alt: parts.contains(&"alt"),
            shift: parts.contains(&"shift"),
            typing: parts.contains(&"typing"),
        }
    }

    #[test]
    fn the_emergency_stop_works_everywhere_and_while_typing() {
        for keys in ["ctrl|.", "ctrl|typing|.", "ctrl|shift|."] {
            assert_eq!(
                find(&press(keys), Places::default()),
                Some(Action::EmergencyStop)
            );
        }
        assert_eq!(find(&press("."), ALL), None);
    }

    #[test]
    fn function_keys_mark_while_a_note_is_typed_and_only_in_a_session() {
        assert_eq!(
            find(&press("typing|F5"), ALL),
            Some(Action::Coded("F5".to_owned()))
        );
        assert_eq!(find(&press("F5"), Places::default()), None);
        assert_eq!(find(&press("F"), ALL), None);
    }

    #[test]
    fn letters_belong_to_the_text_that_is_typed() {
        assert_eq!(find(&press("n"), ALL), Some(Action::Note));
        assert_eq!(find(&press("typing|n"), ALL), None);
        assert_eq!(find(&press("typing|?"), ALL), None);
        assert_eq!(find(&press("shift|?"), ALL), Some(Action::Help));
        assert_eq!(find(&press("typing|ctrl|z"), ALL), None);
        assert_eq!(find(&press("typing|ctrl|h"), ALL), Some(Action::Privacy));
    }

    #[test]
    fn signs_and_arrows() {
        assert_eq!(find(&press("+"), ALL), Some(Action::Sensitivity(-1)));
        assert_eq!(find(&press("shift|+"), ALL), Some(Action::Sensitivity(-1)));
        assert_eq!(find(&press("ArrowLeft"), ALL), Some(Action::Page(-1)));
        assert_eq!(
            find(&press("shift|ArrowLeft"), ALL),
            Some(Action::Second(-1))
        );
        assert_eq!(find(&press(" "), ALL), Some(Action::Freeze));
        assert_eq!(find(&press("alt|3"), ALL), Some(Action::Tab(2)));
    }

    #[test]
    fn no_chord_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for row in HOT_KEYS {
            assert!(seen.insert(row.chord), "{} stands twice", row.chord);
        }
        assert_eq!(chord(&Action::Lock), "Ctrl+L");
        assert_eq!(shown("Shift+ArrowLeft"), "⇧←");
    }
}
