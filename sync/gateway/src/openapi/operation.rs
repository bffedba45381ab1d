//! What the table of routes does not say of an operation.

use protocol::Role;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::limits::service as limits;

/// What a parameter is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A whole number from 0.
    Whole,
    /// A UUID.
    Uuid,
    /// A time (RFC 3339).
    Time,
    /// A length of time as Go writes it, `1m30s`.
    Length,
    /// There or not; its value does not matter.
    Flag,
    /// One of these.
    Choice(&'static [&'static str]),
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Whole => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
            Self::Uuid => json!({ "type": "string", "format": "uuid" }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::Length => json!({ "type": "string", "examples": ["1s", "250ms"] }),
            Self::Flag => json!({ "type": "string", "enum": ["", "true"] }),
            Self::Choice(values) => json!({ "type": "string", "enum": values }),
        }
    }
}

#[derive(Debug)]
enum Body {
    Json {
        schema: fn(&mut SchemaGenerator) -> Schema,
        required: bool,
    },
    Raw(&'static str),
}

#[derive(Debug)]
struct Parameter {
    name: &'static str,
    place: &'static str,
    kind: Kind,
    what: &'static str,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    media: Option<&'static str>,
    what: &'static str,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) max_body_bytes: u64,
    parameters: Vec<Parameter>,
    body: Option<Body>,
    answers: Vec<Answer>,
}

impl Operation {
    pub(crate) fn new(method: &'static str, path: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            summary,
            max_body_bytes: limits::MAX_BODY_BYTES as u64,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
        }
    }

    /// Takes a body that is read as `T`.
    pub(crate) fn takes<T: JsonSchema>(mut self) -> Self {
        let schema = |schemas: &mut SchemaGenerator| schemas.subschema_for::<T>();
        let required = true;
        self.body = Some(Body::Json { schema, required });
        self
    }

    /// Takes such a body, or none.
    pub(crate) fn may_take<T: JsonSchema>(mut self) -> Self {
        let schema = |schemas: &mut SchemaGenerator| schemas.subschema_for::<T>();
        let required = false;
        self.body = Some(Body::Json { schema, required });
        self
    }

    /// Takes bytes.
    pub(crate) fn takes_raw(mut self, media: &'static str) -> Self {
        self.body = Some(Body::Raw(media));
        self
    }

    /// Its body is larger or smaller than others.
    pub(crate) fn at_most(mut self, bytes: u64) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// A part of the path or of the query, whichever the path says.
    pub(crate) fn with(mut self, name: &'static str, kind: Kind, what: &'static str) -> Self {
        let within = |form: String| self.path.contains(&form);
        let in_path = within(format!("{{{name}}}")) || within(format!("{{*{name}}}"));
        let place = if in_path { "path" } else { "query" };
        self.parameters.push(Parameter {
            name,
            place,
            kind,
            what,
        });
        self
    }

    /// A header.
    pub(crate) fn header(mut self, name: &'static str, kind: Kind, what: &'static str) -> Self {
        self.parameters.push(Parameter {
            name,
            place: "header",
            kind,
            what,
        });
        self
    }

    /// Answers with JSON.
    pub(crate) fn json(self, status: u16, what: &'static str) -> Self {
        self.gives(status, Some("application/json"), what)
    }

    /// Answers without a body.
    pub(crate) fn empty(self, status: u16, what: &'static str) -> Self {
        self.gives(status, None, what)
    }

    /// Answers.
    pub(crate) fn gives(
        mut self,
        status: u16,
        media: Option<&'static str>,
        what: &'static str,
    ) -> Self {
        self.answers.push(Answer {
            status,
            media,
            what,
        });
        self
    }

    /// What it belongs to: the first word of its path that is no version.
    pub(super) fn tag(&self) -> &str {
        let mut words = self.path.split(['/', '.', '{', '}']);
        words
            .find(|word| !word.is_empty() && *word != "v1")
            .unwrap_or("gateway")
    }

    pub(super) fn parameters(&self) -> Vec<Value> {
        let one = |parameter: &Parameter| {
            json!({
                "name": parameter.name, "in": parameter.place, "required": parameter.place == "path",
                "description": parameter.what, "schema": parameter.kind.schema(),
            })
        };
        self.parameters.iter().map(one).collect()
    }

    pub(super) fn body(&self, schemas: &mut SchemaGenerator) -> Option<Value> {
        let (media, schema, required) = match self.body.as_ref()? {
            Body::Json { schema, required } => ("application/json", schema(schemas), *required),
            Body::Raw(media) => (*media, Schema::default(), false),
        };
        Some(json!({ "required": required, "content": { media: { "schema": schema } } }))
    }

    pub(super) fn responses(&self) -> Value {
        let mut responses = Map::new();
        for answer in &self.answers {
            let mut shown = json!({ "description": answer.what });
            if let Some(media) = answer.media {
                shown["content"] = json!({ media: {} });
            }
            responses.insert(answer.status.to_string(), shown);
        }
        let problem = json!({ "$ref": "#/components/responses/Problem" });
        responses.insert("default".to_owned(), problem);
        Value::Object(responses)
    }
}

pub(crate) fn get(path: &'static str, summary: &'static str) -> Operation {
    Operation::new("GET", path, summary)
}

pub(crate) fn post(path: &'static str, summary: &'static str) -> Operation {
    Operation::new("POST", path, summary)
}

pub(crate) fn put(path: &'static str, summary: &'static str) -> Operation {
    Operation::new("PUT", path, summary)
}

pub(crate) fn delete(path: &'static str, summary: &'static str) -> Operation {
    Operation::new("DELETE", path, summary)
}

/// Schema of a list of roles.
pub(crate) fn roles(_: &mut SchemaGenerator) -> Schema {
    let names = Role::ALL.map(Role::as_str);
    json_schema!({ "type": "array", "items": { "type": "string", "enum": names } })
}
