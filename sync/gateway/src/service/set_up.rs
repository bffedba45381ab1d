//! The first person: there is no account that everybody knows. Whoever reads the code that the gateway
//! printed on the machine it runs on becomes the first to run it, once.

use protocol::Role;
use sha2::{Digest as _, Sha256};

use crate::{
    people::{NewPerson, People, PeopleError, Person},
    random::Random,
    state::{Expect, Op, Space, State, StateError},
    trust::{EnrolmentCode, hex},
};

const SET_UP: Space = "set_up";
/// Hash of the code that is due.
const CODE: &str = "code";
/// There once somebody was set up; it never goes away.
const DONE: &str = "done";

/// Whether and with which code the first person can be entered.
#[derive(Debug)]
pub(crate) struct SetUp {
    state: State,
    random: Random,
}

fn hash(code: &EnrolmentCode) -> String {
    hex(&Sha256::digest(code.reveal().as_bytes()))
}

impl SetUp {
    pub(crate) fn new(state: State, random: Random) -> Self {
        Self { state, random }
    }

    /// A new code, in place of one that was given out before; none once somebody was set up.
    pub(crate) async fn code(&self) -> Result<Option<EnrolmentCode>, StateError> {
        let code = EnrolmentCode::new(&self.random);
        let given = self
            .state
            .commit(vec![
                Op::require(SET_UP, DONE, Expect::Absent),
                Op::put(SET_UP, CODE, hash(&code)),
            ])
            .await;
        match given {
            Ok(_) => Ok(Some(code)),
            Err(StateError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Enters the first person, if the code is the one that is due. `None` if it is not.
    pub(crate) async fn use_code(
        &self,
        code: &str,
        mut first: NewPerson,
        people: &People,
    ) -> Result<Option<Person>, PeopleError> {
        let Some(code) = EnrolmentCode::parse(code) else {
            return Ok(None);
        };
        let Some(due) = self.state.get(SET_UP, CODE) else {
            return Ok(None);
        };
        if due.value[..] != *hash(&code).as_bytes() {
            return Ok(None);
        }
        first.roles = vec![Role::SuperAdmin];
        let also = vec![
            Op::require(SET_UP, CODE, Expect::Modified(due.modified)),
            Op::require(SET_UP, DONE, Expect::Absent),
            Op::delete(SET_UP, CODE),
            Op::put(SET_UP, DONE, "1"),
        ];
        match people.enter(first, "set-up code", also).await {
            Ok(person) => Ok(Some(person)),
            // Somebody else used it at the same time.
            Err(PeopleError::State(StateError::Conflict { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
