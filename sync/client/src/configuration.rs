//! Configuration: keys and values, read and watched.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use tokio::sync::watch;

use crate::{
    Error, Registry,
    discovery::{Query, Task},
};

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigValue {
    /// Its bytes.
    pub value: Vec<u8>,
    /// A number that the writer gave it.
    pub flags: u64,
    /// Tells one writing from another; what a compare-and-set names.
    pub modify_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    value: Option<String>,
    flags: u64,
    modify_index: u64,
}

/// What a key holds, from now on. A value that is replaced before it is looked at is passed over.
#[derive(Debug)]
pub struct ConfigWatch {
    values: watch::Receiver<Option<ConfigValue>>,
    _task: Task,
}

impl ConfigWatch {
    /// What it holds, as far as is known; `None` where there is no such key.
    pub fn current(&self) -> Option<ConfigValue> {
        self.values.borrow().clone()
    }

    /// What it holds once that has changed since it was last looked at here. Can be given up at any time.
    pub async fn changed(&mut self) -> Option<ConfigValue> {
        if self.values.changed().await.is_err() {
            // The one who tells is ours and ends with us alone, or with its runtime.
            std::future::pending::<()>().await;
        }
        self.values.borrow_and_update().clone()
    }
}

/// A callback that is called until this is dropped.
#[derive(Debug)]
pub struct Watching {
    _task: Task,
}

impl Registry {
    /// What a key holds now.
    pub async fn get_config(&self, key: &str) -> Result<Option<ConfigValue>, Error> {
        look(&mut self.query(key)?).await
    }

    /// Watches a key by a blocking query, through restarts of the gateway and when its index goes back.
    pub async fn watch_config(&self, key: &str) -> Result<ConfigWatch, Error> {
        let mut query = self.query(key)?;
        let (tell, values) = watch::channel(look(&mut query).await?);
        let task = tokio::spawn(async move {
            loop {
                let pairs: Option<Vec<Pair>> = query.next().await;
                // Damaged on the way is as if it had not come: the next one tells.
                if let Ok(new) = value(pairs) {
                    // Woken by a neighbour of the key, or by nothing: nobody is told.
                    tell.send_if_modified(|old| {
                        let differs = *old != new;
                        *old = new;
                        differs
                    });
                }
            }
        });
        Ok(ConfigWatch {
            values,
            _task: Task(task),
        })
    }

    /// Calls back with what the key holds now, and whenever that has changed.
    pub async fn watch_config_with(
        &self,
        key: &str,
        mut told: impl FnMut(Option<ConfigValue>) + Send + 'static,
    ) -> Result<Watching, Error> {
        let mut watch = self.watch_config(key).await?;
        let task = tokio::spawn(async move {
            let first = watch.values.borrow_and_update().clone();
            told(first);
            loop {
                told(watch.changed().await);
            }
        });
        Ok(Watching { _task: Task(task) })
    }

    fn query(&self, key: &str) -> Result<Query, Error> {
        let path: Vec<_> = ["v1", "kv"].into_iter().chain(key.split('/')).collect();
        Ok(Query::new(self.source.clone(), self.source.url(&path)?))
    }
}

async fn look(query: &mut Query) -> Result<Option<ConfigValue>, Error> {
    value(query.ask().await?)
}

fn value(pairs: Option<Vec<Pair>>) -> Result<Option<ConfigValue>, Error> {
    let Some(pair) = pairs.and_then(|pairs| pairs.into_iter().next()) else {
        return Ok(None);
    };
    // A value of no bytes is null.
    let value = BASE64_STANDARD
        .decode(pair.value.unwrap_or_default())
        .map_err(|_| Error::Lacks("Value"))?;
    Ok(Some(ConfigValue {
        value,
        flags: pair.flags,
        modify_index: pair.modify_index,
    }))
}
