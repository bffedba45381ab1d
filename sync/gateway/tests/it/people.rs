//! People and their signing in, over a state in memory.

use std::sync::Arc;

use events::Clock as _;
use gateway::{
    people::{NewPerson, People, PeopleError, Refreshed, Sessions, SignIn},
    state::State,
};
use protocol::Role;
use zeroize::Zeroizing;

use crate::rig::{SetClock, ground};

const PASSWORD: &str = "a long enough password";

struct Rig {
    people: People,
    sessions: Sessions,
    state: State,
    clock: Arc<SetClock>,
}

async fn rig() -> Rig {
    let ground = ground().await;
    let (state, clock, ids) = (ground.state, ground.clock, ground.ids);
    let people = People::new(
        state.clone(),
        ground.sealer,
        clock.clone(),
        ids.clone(),
        ground.random.clone(),
    )
    .unwrap();
    let sessions = Sessions::new(state.clone(), clock.clone(), ids, ground.random);
    Rig {
        people,
        sessions,
        state,
        clock,
    }
}

fn somebody(login: &str, role: Role) -> NewPerson {
    NewPerson {
        login: login.to_owned(),
        display_name: "Test".to_owned(),
        site: "north".to_owned(),
        roles: vec![role],
        password: Zeroizing::new(PASSWORD.to_owned()),
    }
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

#[tokio::test]
async fn only_the_right_password_of_a_person_who_is_let_in_signs_in() {
    let rig = rig().await;
    let ada = rig
        .people
        .enter(somebody("Ada", Role::Clinician), "test", vec![])
        .await
        .unwrap();
    let taken = rig
        .people
        .enter(somebody("ADA ", Role::Admin), "test", vec![])
        .await;
    assert!(matches!(taken, Err(PeopleError::Taken)), "{taken:?}");
    let accepted = rig
        .people
        .sign_in("ada", secret(PASSWORD), None)
        .await
        .unwrap();
    assert!(matches!(accepted, SignIn::Accepted(person) if person.id == ada.id));
    for (login, password, reason) in [
        ("ada", "another long password", "wrong password"),
        ("eve", PASSWORD, "unknown login"),
        ("ada", "", "wrong password"),
    ] {
        let refused = rig
            .people
            .sign_in(login, secret(password), None)
            .await
            .unwrap();
        assert_eq!(refused, SignIn::Refused(reason));
    }
    rig.people
        .change(ada.id, None, Some(true), "test")
        .await
        .unwrap();
    let refused = rig
        .people
        .sign_in("ada", secret(PASSWORD), None)
        .await
        .unwrap();
    assert_eq!(refused, SignIn::Refused("disabled"));
    for bad in ["", "a b", &"x".repeat(65)] {
        let refused = rig
            .people
            .enter(somebody(bad, Role::Admin), "test", vec![])
            .await;
        assert!(matches!(refused, Err(PeopleError::Refused(_))), "{bad:?}");
    }
    let mut short = somebody("bob", Role::Admin);
    short.password = secret("too short");
    assert!(rig.people.enter(short, "test", vec![]).await.is_err());
    let device = rig
        .people
        .enter(somebody("bob", Role::Device), "test", vec![])
        .await;
    assert!(matches!(device, Err(PeopleError::Refused(_))));
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_it_is_confirmed_and_a_code_opens_once() {
    let rig = rig().await;
    let ada = rig
        .people
        .enter(somebody("ada", Role::Clinician), "test", vec![])
        .await
        .unwrap();
    let (totp, _) = rig.people.begin_second_factor(ada.id).await.unwrap();
    let code = |rig: &Rig, offset: u64| {
        let step = (rig.clock.now().unix_millis() / 1_000) / 30 + offset;
        (0..1_000_000)
            .map(|n| format!("{n:06}"))
            .find(|code| totp.step_of(code, step * 30) == Some(step))
            .expect("one of all codes")
    };
    let unasked = rig
        .people
        .sign_in("ada", secret(PASSWORD), None)
        .await
        .unwrap();
    assert!(matches!(unasked, SignIn::Accepted(_)), "not confirmed yet");
    assert!(
        !rig.people
            .confirm_second_factor(ada.id, "000000")
            .await
            .unwrap()
    );
    assert!(
        rig.people
            .confirm_second_factor(ada.id, &code(&rig, 0))
            .await
            .unwrap()
    );
    let due = rig
        .people
        .sign_in("ada", secret(PASSWORD), None)
        .await
        .unwrap();
    assert_eq!(due, SignIn::CodeDue);
    let again = rig
        .people
        .sign_in("ada", secret(PASSWORD), Some(&code(&rig, 0)))
        .await
        .unwrap();
    assert_eq!(
        again,
        SignIn::Refused("wrong code"),
        "the code of the confirmation is used up"
    );
    rig.clock.pass_s(60);
    let wrong = rig
        .people
        .sign_in("ada", secret("wrong wrong wrong"), Some(&code(&rig, 0)))
        .await;
    assert_eq!(wrong.unwrap(), SignIn::Refused("wrong password"));
    let right = rig
        .people
        .sign_in("ada", secret(PASSWORD), Some(&code(&rig, 0)))
        .await
        .unwrap();
    assert!(matches!(right, SignIn::Accepted(_)), "{right:?}");
    let stored = rig.state.get("people", "ada").unwrap();
    let stored = String::from_utf8_lossy(&stored.value).into_owned();
    assert!(!stored.contains(totp.to_base32().as_str()) && !stored.contains(PASSWORD));
    rig.people
        .remove_second_factor(ada.id, "test")
        .await
        .unwrap();
    let without = rig
        .people
        .sign_in("ada", secret(PASSWORD), None)
        .await
        .unwrap();
    assert!(matches!(without, SignIn::Accepted(_)));
}

#[tokio::test]
async fn the_last_who_runs_the_gateway_stays() {
    let rig = rig().await;
    let one = rig
        .people
        .enter(somebody("one", Role::SuperAdmin), "test", vec![])
        .await
        .unwrap();
    let kept_out = rig.people.change(one.id, None, Some(true), "test").await;
    assert!(matches!(kept_out, Err(PeopleError::Last)));
    let demoted = rig
        .people
        .change(one.id, Some(vec![Role::Admin]), None, "test")
        .await;
    assert!(matches!(demoted, Err(PeopleError::Last)));
    let two = rig
        .people
        .enter(somebody("two", Role::SuperAdmin), "test", vec![])
        .await
        .unwrap();
    // Both at once: one of them stays.
    let (first, second) = tokio::join!(
        rig.people.change(one.id, None, Some(true), "test"),
        rig.people.change(two.id, None, Some(true), "test"),
    );
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
}

#[tokio::test]
async fn a_session_goes_on_with_the_token_that_is_due_and_ends_with_a_copied_one() {
    let rig = rig().await;
    let person = uuid::Uuid::from_u128(5);
    let (session, first) = rig.sessions.begin(person).await.unwrap();
    assert!(rig.sessions.is_on(person, session.id));
    let Refreshed::On(same, second) = rig.sessions.refresh(&first).await.unwrap() else {
        panic!("the first token is due");
    };
    assert_eq!(same.id, session.id);
    assert_eq!(
        rig.sessions.refresh(&first).await.unwrap(),
        Refreshed::Refused,
        "used up"
    );
    assert!(
        !rig.sessions.is_on(person, session.id),
        "a token that comes twice was copied"
    );
    assert_eq!(
        rig.sessions.refresh(&second).await.unwrap(),
        Refreshed::Refused
    );
    for nonsense in ["", "a.b.c", "....", &format!("{person}.{}", session.id)] {
        assert_eq!(
            rig.sessions.refresh(nonsense).await.unwrap(),
            Refreshed::Refused
        );
    }
    let (one, _) = rig.sessions.begin(person).await.unwrap();
    let (two, token) = rig.sessions.begin(person).await.unwrap();
    rig.clock.pass_s(13 * 60 * 60);
    assert_eq!(
        rig.sessions.refresh(&token).await.unwrap(),
        Refreshed::Refused,
        "expired"
    );
    assert!(!rig.sessions.is_on(person, two.id));
    assert_eq!(rig.sessions.sweep().await.unwrap(), 1);
    assert!(!rig.sessions.is_on(person, one.id));
    let (three, _) = rig.sessions.begin(person).await.unwrap();
    rig.sessions.end_all(person).await.unwrap();
    assert!(!rig.sessions.is_on(person, three.id));
}

#[tokio::test]
async fn a_session_that_is_to_end_does_so_however_often_it_is_refreshed() {
    let rig = rig().await;
    let person = uuid::Uuid::from_u128(6);
    let hours = |hours: i64| hours * 60 * 60;
    let until = events::Timestamp(rig.clock.now().0 + hours(13) * 1_000_000_000);
    let (_, token) = rig.sessions.begin_until(person, Some(until)).await.unwrap();
    rig.clock.pass_s(hours(11));
    let Refreshed::On(session, token) = rig.sessions.refresh(&token).await.unwrap() else {
        panic!("it is not over");
    };
    assert_eq!(session.expires_at, until);
    rig.clock.pass_s(hours(3));
    assert_eq!(
        rig.sessions.refresh(&token).await.unwrap(),
        Refreshed::Refused
    );
}

/// A session alone must not find a code by trying them all.
#[tokio::test]
async fn wrong_codes_of_a_second_factor_are_waited_for_as_wrong_passwords_are() {
    let rig = rig().await;
    let ada = rig
        .people
        .enter(somebody("ada", Role::Clinician), "test", vec![])
        .await
        .unwrap();
    rig.people.begin_second_factor(ada.id).await.unwrap();
    let begun = std::time::Instant::now();
    for _ in 0..4 {
        let right = rig.people.confirm_second_factor(ada.id, "no code").await;
        assert!(!right.unwrap());
    }
    // 250 ms after the first, doubled with each: 250 + 500 + 1,000 before the fourth is looked at.
    let waited = begun.elapsed();
    assert!(waited.as_millis() >= 1_750, "{waited:?}");
    let begun = std::time::Instant::now();
    let right = rig.people.sign_in("ada", secret(PASSWORD), None).await;
    assert!(matches!(right.unwrap(), SignIn::Accepted(_)));
    assert!(begun.elapsed().as_millis() >= 2_000, "both are one count");
}
