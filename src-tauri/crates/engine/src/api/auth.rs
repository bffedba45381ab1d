//! Signing in and out, break-glass, users.

use super::{id, wire};
use crate::access::Bearer;
use crate::rpc::Calls;
use crate::serve::Shared;
use ui_types::{
    AuthBreakGlass, AuthFirstAdministrator, AuthSignIn, AuthSignOut, AuthStatus, AuthStatusReply,
    Nothing, Role, SignedInReply, UserAdd, UserDisable, UserList, UserListReply, UserView,
};
use workstation::rooms::signal::ZoneOffset;
use workstation::{Person, PersonRole, SignedIn, UserRecord, rfc3339};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, _: AuthStatus, _| async move {
            let state = shared.workstation.sign_in_state().await.map_err(wire)?;
            let person = shared.workstation.person();
            Ok(AuthStatusReply {
                has_administrator: state.has_administrator,
                user: person.map(|person| user_view(person, false)),
                min_password_chars: u32::try_from(state.min_password_chars).unwrap_or(u32::MAX),
                lock_after_s: shared.workstation.lock_after_s().await,
            })
        })
        .serve(
            |shared: Shared, call: AuthFirstAdministrator, _| async move {
                let made = shared
                    .workstation
                    .first_administrator(&call.login, &call.display_name, &call.password.0)
                    .await;
                made.map(signed_in).map_err(wire)
            },
        )
        .serve(|shared: Shared, call: AuthSignIn, _| async move {
            let known = shared
                .workstation
                .sign_in(&call.login, &call.password.0)
                .await;
            known.map(signed_in).map_err(wire)
        })
        .serve(|shared: Shared, call: AuthBreakGlass, _| async move {
            let let_in = shared
                .workstation
                .break_glass(&call.name, &call.reason)
                .await;
            let_in.map(signed_in).map_err(wire)
        })
        .serve(|shared: Shared, _: AuthSignOut, _| async move {
            if let Some(Bearer(token)) = &shared.token {
                shared.workstation.sign_out(token).await;
            }
            Ok(Nothing {})
        })
        .serve(|shared: Shared, _: UserList, _| async move {
            let users = shared.workstation.users().await.map_err(wire)?;
            Ok(UserListReply {
                users: users.iter().map(record_view).collect(),
            })
        })
        .serve(|shared: Shared, call: UserAdd, _| async move {
            let role = match call.role {
                Role::Clinician => PersonRole::Clinician,
                Role::Technician => PersonRole::Technician,
                Role::Researcher => PersonRole::Researcher,
                Role::Administrator => PersonRole::Administrator,
                Role::BreakGlass => PersonRole::BreakGlass,
            };
            let added = shared
                .workstation
                .add_user(&call.login, &call.display_name, role, &call.password.0)
                .await;
            added.map(|user| record_view(&user)).map_err(wire)
        })
        .serve(|shared: Shared, call: UserDisable, _| async move {
            let done = shared
                .workstation
                .disable_user(id("user", &call.id)?, call.disabled)
                .await;
            done.map(|()| Nothing {}).map_err(wire)
        })
}

fn record_view(user: &UserRecord) -> UserView {
    user_view(&user.person, user.disabled)
}

fn user_view(person: &Person, disabled: bool) -> UserView {
    UserView {
        id: person.id.to_string(),
        login: person.login.clone(),
        display_name: person.display_name.clone(),
        role: match person.role {
            PersonRole::Clinician => Role::Clinician,
            PersonRole::Technician => Role::Technician,
            PersonRole::Researcher => Role::Researcher,
            PersonRole::Administrator => Role::Administrator,
            PersonRole::BreakGlass => Role::BreakGlass,
        },
        disabled,
    }
}

fn signed_in(done: SignedIn) -> SignedInReply {
    SignedInReply {
        user: user_view(&done.person, false),
        expires: rfc3339(done.expires, ZoneOffset(0)),
        token: done.token,
    }
}
