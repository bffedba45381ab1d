//! Many rows in few statements.

use std::{fmt::Write as _, sync::OnceLock};

use sqlx::{AssertSqlSafe, SqliteConnection, sqlite::SqliteArguments};

use crate::{limits::INSERT_ROWS, unit::SqlValue};

/// An INSERT whose row count is chosen at run time.
///
/// Counts are split into powers of two up to [`INSERT_ROWS`], so that few statements serve every
/// count and stay prepared. A conflict rolls the whole transaction back, which spares SQLite the
/// journal that it would need to undo one statement.
#[derive(Debug)]
pub(crate) struct Insert {
    head: &'static str,
    columns: usize,
    texts: OnceLock<Vec<String>>,
}

impl Insert {
    /// `head` is `table (columns)`.
    pub(crate) const fn new(head: &'static str, columns: usize) -> Self {
        Self {
            head,
            columns,
            texts: OnceLock::new(),
        }
    }

    fn text(&self, log2_rows: usize) -> &str {
        let texts = self.texts.get_or_init(|| {
            (0..=INSERT_ROWS.ilog2())
                .map(|log2| self.render(1 << log2))
                .collect()
        });
        &texts[log2_rows]
    }

    fn render(&self, rows: usize) -> String {
        let marks = vec!["?"; self.columns].join(",");
        let mut text = format!("INSERT OR ROLLBACK INTO {} VALUES ", self.head);
        for row in 0..rows {
            let _ = write!(text, "{}({marks})", if row > 0 { "," } else { "" });
        }
        text
    }

    /// Adds the insertion of `rows`, few enough for one statement, to a script.
    pub(crate) fn script<T>(
        &self,
        script: &mut Script,
        rows: &[T],
        bind: impl Fn(&mut Arguments, &T),
    ) {
        let mut rows = rows;
        while !rows.is_empty() {
            let log2 = rows.len().min(INSERT_ROWS).ilog2() as usize;
            let (now, later) = rows.split_at(1 << log2);
            script.text.push_str(self.text(log2));
            script.text.push(';');
            now.iter().for_each(|row| bind(&mut script.arguments, row));
            rows = later;
        }
    }

    /// Inserts `rows` rows; `bind` adds the parameters of one.
    pub(crate) async fn run<T>(
        &self,
        connection: &mut SqliteConnection,
        mut rows: &[T],
        bind: impl Fn(&mut Arguments, &T),
    ) -> Result<(), sqlx::Error> {
        while !rows.is_empty() {
            let log2 = rows.len().min(INSERT_ROWS).ilog2() as usize;
            let (now, later) = rows.split_at(1 << log2);
            let mut arguments = Arguments::default();
            now.iter().for_each(|row| bind(&mut arguments, row));
            // The text is made of this program's constants only.
            let text = AssertSqlSafe(self.text(log2));
            sqlx::query_with(text, arguments.into_inner()?)
                .execute(&mut *connection)
                .await?;
            rows = later;
        }
        Ok(())
    }
}

/// Statements that run in one go: each way to the connection's thread and back costs more than the
/// statements of a small transaction.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) arguments: Arguments,
}

impl Script {
    pub(crate) async fn run(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        // The text is made of this program's constants only.
        let query = sqlx::query_with(AssertSqlSafe(self.text), self.arguments.into_inner()?);
        query.execute(connection).await.map(drop)
    }
}

/// Parameters in order; the first that cannot be encoded is reported when they are used.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    inner: SqliteArguments,
    failed: Option<sqlx::Error>,
}

impl Arguments {
    pub(crate) fn add<'t, T>(&mut self, value: T) -> &mut Self
    where
        T: sqlx::Encode<'t, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        if let Err(error) = sqlx::Arguments::add(&mut self.inner, value) {
            self.failed.get_or_insert(sqlx::Error::Encode(error));
        }
        self
    }

    pub(crate) fn add_value(&mut self, value: SqlValue) -> &mut Self {
        match value {
            SqlValue::Null => self.add(None::<i64>),
            SqlValue::Int(value) => self.add(value),
            SqlValue::Real(value) => self.add(value),
            SqlValue::Text(value) => self.add(value),
            SqlValue::Blob(value) => self.add(value),
        }
    }

    pub(crate) fn into_inner(self) -> Result<SqliteArguments, sqlx::Error> {
        self.failed.map_or(Ok(self.inner), Err)
    }
}

/// Counters of the formats are u64 but stay far below 2^63, SQLite's largest integer.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
