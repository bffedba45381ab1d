//! Texts of signing in, locking and breaking the glass.

use super::texts;

texts! {
    TITLE = "Sign in", "Anmelden";
    LOADING = "Asking the engine who may sign in …", "Die Engine wird gefragt, wer sich anmelden darf …";
    LOGIN = "Login", "Anmeldename";
    PASSWORD = "Password", "Passwort";
    SIGN_IN = "Sign in", "Anmelden";
    FIRST_TITLE = "First administrator", "Erster Administrator";
    FIRST_TEXT = "Nobody can sign in on this station yet. Make the account of the person who will manage it; further users are added under Settings.", "An dieser Station kann sich noch niemand anmelden. Legen Sie das Konto der Person an, die sie verwaltet; weitere Benutzer kommen unter Einstellungen dazu.";
    DISPLAY_NAME = "Name to show", "Angezeigter Name";
    PASSWORD_AGAIN = "Password again", "Passwort wiederholen";
    PASSWORD_LEAST = "At least {n} characters.", "Mindestens {n} Zeichen.";
    MAKE = "Make administrator", "Administrator anlegen";
    LOGIN_MISSING = "Choose a name to sign in with.", "Wählen Sie einen Anmeldenamen.";
    LOGIN_SPACES = "No blanks in a login.", "Keine Leerzeichen im Anmeldenamen.";
    PASSWORD_SHORT = "The password is too short.", "Das Passwort ist zu kurz.";
    PASSWORD_DIFFERS = "The two passwords differ.", "Die beiden Passwörter unterscheiden sich.";
    BREAK_GLASS = "Break glass", "Notzugang";
    BREAK_GLASS_TITLE = "Emergency access", "Notzugang";
    BREAK_GLASS_TEXT = "For emergencies, when nobody who can sign in is here. You can record and mark at once. Your name and reason stand in the ledger, and an event is raised.", "Für Notfälle, wenn niemand da ist, der sich anmelden kann. Sie können sofort aufzeichnen und markieren. Ihr Name und Ihr Grund stehen im Nachweis, und ein Ereignis wird ausgelöst.";
    YOUR_NAME = "Your name", "Ihr Name";
    REASON = "Reason", "Grund";
    BREAK_NOW = "Open now", "Jetzt öffnen";
    BREAK_GLASS_ON = "EMERGENCY ACCESS", "NOTZUGANG";
    LOCKED_TITLE = "Locked", "Gesperrt";
    LOCKED_TEXT = "Traces, alerts, event keys and the emergency stop go on.", "Kurven, Meldungen, Ereignistasten und Not-Halt bleiben aktiv.";
    UNLOCK = "Unlock", "Entsperren";
    LOCKED_BY = "Signed in: {name}. Another person may sign in here; the recording goes on.", "Angemeldet: {name}. Eine andere Person kann sich hier anmelden; die Aufzeichnung läuft weiter.";
    SIGNING_IN = "Signing in …", "Anmeldung läuft …";
    ROLE_CLINICIAN = "Clinician", "Ärztin/Arzt";
    ROLE_TECHNICIAN = "Technician", "MTA-F";
    ROLE_RESEARCHER = "Researcher", "Forschung";
    ROLE_ADMINISTRATOR = "Administrator", "Administrator";
    ROLE_BREAK_GLASS = "Emergency access", "Notzugang";
}
