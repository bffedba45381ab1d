//! Consul's filter expressions, the part of them that services and checks are looked for with:
//! `==`, `!=`, `in`, `not in`, `contains`, `not contains`, `is empty`, `is not empty`, `and`, `or`, `not`,
//! parentheses, and selectors such as `Service.Meta.version` or `Service.Meta["a key"]`.

use serde_json::Value;

use super::{Fault, blocking::Asked};
use crate::limits::discovery as limits;

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    All,
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Equal(Vec<String>, String),
    /// The value is in the list, the keys of the map or the text.
    In(String, Vec<String>),
    Empty(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Equal,
    Unequal,
    Word(String),
    Text(String),
    Path(Vec<String>),
}

impl Filter {
    /// The `filter` parameter of a request.
    pub(crate) fn of(asked: &Asked) -> Result<Self, Fault> {
        match asked.get("filter") {
            None | Some("") => Ok(Self::All),
            Some(text) => Self::parse(text)
                .map_err(|reason| Fault::request(format!("Failed to create filter: {reason}"))),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > limits::FILTER_BYTES {
            return Err("the expression is too long".to_owned());
        }
        let tokens = tokens(text)?;
        let mut parser = Parser {
            tokens: &tokens,
            depth: 0,
        };
        let filter = parser.either()?;
        if parser.tokens.is_empty() {
            Ok(filter)
        } else {
            Err("something follows the expression".to_owned())
        }
    }

    /// Whether it takes this entry, as it is shown.
    pub(crate) fn takes(&self, entry: &Value) -> bool {
        match self {
            Self::All => true,
            Self::Not(inner) => !inner.takes(entry),
            Self::And(left, right) => left.takes(entry) && right.takes(entry),
            Self::Or(left, right) => left.takes(entry) || right.takes(entry),
            Self::Equal(path, text) => any(entry, path, &|value| is(value, text)),
            Self::In(text, path) => any(entry, path, &|value| match value {
                Value::Array(list) => list.iter().any(|one| is(one, text)),
                Value::Object(map) => map.contains_key(text),
                Value::String(whole) => whole.contains(text.as_str()),
                _ => false,
            }),
            Self::Empty(path) => any(entry, path, &|value| match value {
                Value::Null => true,
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                Value::String(text) => text.is_empty(),
                _ => false,
            }),
        }
    }
}

fn is(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Number(own) => own.to_string() == text,
        Value::Bool(own) => own.to_string() == text,
        _ => false,
    }
}

/// Whether the value at a path, or of any element of a list on the way there, is as wanted. What is not there
/// is as if it were empty.
fn any(value: &Value, path: &[String], wanted: &dyn Fn(&Value) -> bool) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return wanted(value);
    };
    match value {
        Value::Array(list) => list.iter().any(|one| any(one, path, wanted)),
        Value::Object(map) => any(map.get(first).unwrap_or(&Value::Null), rest, wanted),
        _ => any(&Value::Null, &[], wanted),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            '=' if rest.starts_with("==") => (Token::Equal, &rest[2..]),
            '!' if rest.starts_with("!=") => (Token::Unequal, &rest[2..]),
            '"' | '`' => {
                let (text, after) = quoted(rest, first)?;
                (Token::Text(text), after)
            }
            _ => word(rest)?,
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn quoted(text: &str, mark: char) -> Result<(String, &str), String> {
    let end = text[1..].find(mark).ok_or("a text does not end")?;
    Ok((text[1..=end].to_owned(), &text[end + 2..]))
}

/// A word, a number, or a path with its dots and brackets.
fn word(text: &str) -> Result<(Token, &str), String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let sound = |c: char| c.is_alphanumeric() || "_-/".contains(c);
        let end = rest.find(|c: char| !sound(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(format!(
                "{:?} is not understood",
                rest.chars().next().unwrap_or(' ')
            ));
        }
        parts.push(rest[..end].to_owned());
        rest = &rest[end..];
        while let Some(inner) = rest.strip_prefix("[\"") {
            let close = inner.find("\"]").ok_or("a bracket does not end")?;
            parts.push(inner[..close].to_owned());
            rest = &inner[close + 2..];
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None => break,
        }
    }
    let token = match &parts[..] {
        [one] => Token::Word(one.clone()),
        _ => Token::Path(parts),
    };
    Ok((token, rest))
}

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.tokens.first(), Some(Token::Word(known)) if known == word);
        if is {
            self.tokens = &self.tokens[1..];
        }
        is
    }

    fn either(&mut self) -> Result<Filter, String> {
        let mut left = self.both()?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Filter, String> {
        let mut left = self.one()?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > limits::FILTER_DEPTH {
            return Err("the expression nests too deep".to_owned());
        }
        let filter = if self.word("not") {
            Filter::Not(Box::new(self.one()?))
        } else if self.tokens.first() == Some(&Token::Open) {
            self.tokens = &self.tokens[1..];
            let inner = self.either()?;
            if self.next() != Some(Token::Close) {
                return Err("a parenthesis does not end".to_owned());
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn path(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            Some(Token::Path(path)) => Ok(path),
            Some(Token::Word(one)) => Ok(vec![one]),
            _ => Err("a selector is due".to_owned()),
        }
    }

    fn value(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Text(text) | Token::Word(text)) => Ok(text),
            Some(Token::Path(path)) => Ok(path.join(".")),
            _ => Err("a value is due".to_owned()),
        }
    }

    fn comparison(&mut self) -> Result<Filter, String> {
        let not = |filter| Filter::Not(Box::new(filter));
        // `"v" in Path`: the value stands first.
        let second = self.tokens.get(1);
        let value_first = matches!(self.tokens.first(), Some(Token::Text(_)))
            || matches!(second, Some(Token::Word(word)) if word == "in")
            || (matches!(second, Some(Token::Word(word)) if word == "not")
                && matches!(self.tokens.get(2), Some(Token::Word(word)) if word == "in"));
        if value_first {
            let value = self.value()?;
            let negated = self.word("not");
            if !self.word("in") {
                return Err("`in` is due".to_owned());
            }
            let filter = Filter::In(value, self.path()?);
            return Ok(if negated { not(filter) } else { filter });
        }
        let path = self.path()?;
        match self.next() {
            Some(Token::Equal) => Ok(Filter::Equal(path, self.value()?)),
            Some(Token::Unequal) => Ok(not(Filter::Equal(path, self.value()?))),
            Some(Token::Word(word)) if word == "contains" => Ok(Filter::In(self.value()?, path)),
            Some(Token::Word(word)) if word == "not" && self.word("contains") => {
                Ok(not(Filter::In(self.value()?, path)))
            }
            Some(Token::Word(word)) if word == "is" => {
                let negated = self.word("not");
                if !self.word("empty") {
                    return Err("`empty` is due".to_owned());
                }
                let filter = Filter::Empty(path);
                Ok(if negated { not(filter) } else { filter })
            }
            _ => Err("a comparison is due".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_mean_what_consul_documents() {
        let entry = json!({
            "Service": {
                "Tags": ["v1", "primary"], "Port": 80, "Meta": { "version": "1.2", "a key": "x" },
            },
            "Checks": [{ "Status": "passing" }, { "Status": "warning" }],
            "Node": { "Meta": {} },
        });
        for (text, due) in [
            ("Service.Meta.version == \"1.2\"", true),
            ("Service.Meta[\"a key\"] == x", true),
            ("Service.Port == 80 and \"v1\" in Service.Tags", true),
            (
                "\"v2\" in Service.Tags or Service.Tags contains primary",
                true,
            ),
            ("\"v1\" not in Service.Tags", false),
            ("v1 not in Service.Tags", false),
            ("not (Service.Port == 80)", false),
            ("Checks.Status == \"warning\"", true),
            ("Checks.Status == \"critical\"", false),
            ("Node.Meta is empty and Service.Meta is not empty", true),
            ("Service.Nothing is empty", true),
            ("version in Service.Meta", true),
            (
                "Service.Port != 80 or Service.Port == 81 or Service.Port == 80",
                true,
            ),
            ("Service.Tags not contains `v1`", false),
        ] {
            assert_eq!(Filter::parse(text).unwrap().takes(&entry), due, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "(",
            "a ==",
            "== 1",
            "a b",
            "a == 1 b",
            "\"x",
            "a[\"b",
            "x in",
            "a is full",
            "§",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        assert!(Filter::parse(&"(".repeat(1_000)).is_err());
        assert!(Filter::parse(&"not ".repeat(500)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in ".{0,80}") {
            let _ = Filter::parse(&text).map(|filter| filter.takes(&json!({"a": [1, "b"]})));
        }

        #[test]
        fn no_words_break_it(words in prop::collection::vec("a|b\\.c|==|!=|in|not|and|or|\\(|\\)|is|empty|\"x\"|`|contains|\\[\"", 0..12)) {
            let _ = Filter::parse(&words.join(" "));
        }
    }
}
