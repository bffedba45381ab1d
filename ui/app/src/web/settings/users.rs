//! Users: who may sign in, and as what.

use crate::check;
use crate::test_ids as id;
use crate::web::app::App;
use crate::web::dialog::{Form, form_buttons};
use crate::web::parts::{Load, choice, fetch, field, form_error, loaded, once_tried};
use crate::words::{Text, common, fill, settings as words, sign_in, t};
use leptos::prelude::*;
use ui_types::{Password, Role, UserAdd, UserDisable, UserList, UserListReply, UserView};

/// Roles a user can be given.
const ROLES: [(&str, Role, Text); 4] = [
    ("clinician", Role::Clinician, sign_in::ROLE_CLINICIAN),
    ("technician", Role::Technician, sign_in::ROLE_TECHNICIAN),
    ("researcher", Role::Researcher, sign_in::ROLE_RESEARCHER),
    (
        "administrator",
        Role::Administrator,
        sign_in::ROLE_ADMINISTRATOR,
    ),
];

fn role_word(role: Role) -> Text {
    ROLES
        .iter()
        .find(|(_, one, _)| *one == role)
        .map_or(sign_in::ROLE_BREAK_GLASS, |(_, _, word)| *word)
}

/// The page.
pub(super) fn page(app: App) -> AnyView {
    if !app.is(Role::Administrator) {
        return view! { <h2>{t(words::USERS)}</h2><p class="empty">{t(words::ONLY_ADMINISTRATORS)}</p> }.into_any();
    }
    let list = RwSignal::new(Load::Loading);
    Effect::new(move |_| {
        app.changed.track();
        fetch(list, async move { app.call(&UserList::default()).await });
    });
    view! {
        <div class="row">
            <h2 class="grow">{t(words::USERS)}</h2>
            <button type="button" class="primary" data-testid=id::ADD_USER on:click=move |_| add_dialog(app)>"+ "{t(words::ADD_USER)}</button>
        </div>
        {move || list.with(|list| loaded(list, words::THE_USERS, |reply: &UserListReply| {
            let rows = reply.users.iter().map(|user| line(app, user)).collect_view();
            view! {
                <div class="scroll" tabindex="0" role="region" aria-label=t(words::USERS)>
                    <table data-testid=id::USERS>
                        <thead><tr>
                            <th scope="col">{t(common::NAME)}</th>
                            <th scope="col">{t(sign_in::LOGIN)}</th>
                            <th scope="col">{t(words::ROLE)}</th>
                            <th scope="col">{t(common::STATE)}</th>
                            <th scope="col">{t(common::ACTIONS)}</th>
                        </tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            }
        }))}
    }
    .into_any()
}

fn line(app: App, user: &UserView) -> impl IntoView + use<> {
    let own = app
        .user
        .with_untracked(|own| own.as_ref().is_some_and(|own| own.id == user.id));
    let (id, disabled) = (user.id.clone(), user.disabled);
    let (sign, state) = if disabled {
        ("✕ ", words::DISABLED)
    } else {
        ("✔ ", words::ENABLED)
    };
    let action = if disabled {
        words::ENABLE
    } else {
        words::DISABLE
    };
    let label = format!("{}: {}", t(action), user.display_name);
    view! {
        <tr data-id=user.id.clone()>
            <th scope="row">{user.display_name.clone()}</th>
            <td>{user.login.clone()}</td>
            <td>{t(role_word(user.role))}</td>
            <td>{sign}{t(state)}</td>
            <td>{(!own && user.role != Role::BreakGlass).then(|| view! {
                <button type="button" aria-label=label on:click=move |_| app.run(UserDisable { id: id.clone(), disabled: !disabled }, None, |_| ())>{t(action)}</button>
            })}</td>
        </tr>
    }
}

fn add_dialog(app: App) {
    app.open_dialog(t(words::ADD_USER), move || {
        let [login, name, password, again] = [(); 4].map(|()| RwSignal::new(String::new()));
        let role = RwSignal::new(ROLES[0].0.to_owned());
        let (tried, form) = (RwSignal::new(false), Form::new(app));
        let least = app.auth.with_untracked(|auth| auth.as_ref().and_then(|auth| auth.as_ref().ok()).map_or(0, |auth| auth.min_password_chars));
        let login_fault = move || check::login(&login.get());
        let name_fault = move || check::given(&name.get());
        let password_fault = move || check::new_password(&password.get(), &again.get(), least).0;
        let again_fault = move || check::new_password(&password.get(), &again.get(), least).1;
        let send = move || {
            tried.set(true);
            let faults = [login_fault(), name_fault(), password_fault(), again_fault()];
            if faults.iter().any(Option::is_some) {
                return;
            }
            let wanted = role.get_untracked();
            let role = ROLES.iter().find(|(key, _, _)| *key == wanted).map_or(Role::Technician, |(_, role, _)| *role);
            let body = UserAdd {
                login: login.get_untracked(),
                display_name: name.get_untracked(),
                role,
                password: Password(password.get_untracked()),
            };
            form.send(async move { app.call(&body).await }, |_| t(words::USER_ADDED).to_owned());
        };
        let roles = ROLES.map(|(key, _, word)| (key.to_owned(), t(word).to_owned())).to_vec();
        let hint = fill(sign_in::PASSWORD_LEAST, &[("n", &least.to_string())]);
        view! {
            <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
                {field(id::LOGIN, sign_in::LOGIN, "text", login, once_tried(tried, login_fault), None)}
                {field(id::DISPLAY_NAME, sign_in::DISPLAY_NAME, "text", name, once_tried(tried, name_fault), None)}
                {choice(id::ROLE, words::ROLE, roles, role.into(), move |key| role.set(key))}
                {field(id::PASSWORD, sign_in::PASSWORD, "password", password, once_tried(tried, password_fault), Some(hint))}
                {field(id::PASSWORD_AGAIN, sign_in::PASSWORD_AGAIN, "password", again, once_tried(tried, again_fault), None)}
                {form_error(form.error)}
                {form_buttons(common::ADD, form.busy)}
            </form>
        }
    });
}
