//! Operations written as objects of JSON.

use std::time::Duration;

use serde_json::{Map, Value};

use super::operation::{Create, Operation, check_path, text};
use crate::cli::credentials::read_acl;
use crate::cli::input::from_base64;
use crate::cli::znode::{deletable, znode};

/// Reads a document that is an array.
pub(super) fn array(text: &str) -> Result<Vec<Operation>, String> {
    let values: Vec<Value> = serde_json::from_str(text).map_err(not_json)?;
    let values = values.into_iter().zip(1..);
    values
        .map(|(value, number)| {
            operation(value).map_err(|problem| format!("operation {number}: {problem}"))
        })
        .collect()
}

/// Reads an object.
pub(super) fn object(line: &str) -> Result<Operation, String> {
    operation(serde_json::from_str(line).map_err(not_json)?)
}

fn not_json(error: serde_json::Error) -> String {
    format!("not JSON: {error}")
}

fn operation(value: Value) -> Result<Operation, String> {
    let Value::Object(object) = value else {
        return Err("an operation is an object".to_owned());
    };
    let mut fields = Fields(object);
    let name = fields.text("op")?.ok_or("there is no \"op\"")?;
    let path = |fields: &mut Fields| {
        fields
            .text("path")?
            .ok_or("there is no \"path\"".to_owned())
    };
    let valid = |path: String| znode(&path).map_err(|problem| problem.to_string());
    let operation = match &*name {
        "check" => Operation::Check {
            path: valid(path(&mut fields)?)?,
            version: fields.version()?,
        },
        "create" => {
            let sequential = fields.flag("sequential")?;
            let path = path(&mut fields)?;
            check_path(&path, sequential)?;
            Operation::Create(Create {
                path,
                data: fields.data()?.unwrap_or_default(),
                sequential,
                container: fields.flag("container")?,
                ttl: fields.number("ttl_ms")?.map(Duration::from_millis),
                acl: fields
                    .text("acl")?
                    .map(|acl| read_acl("\"acl\"", &acl))
                    .transpose()
                    .map_err(text)?,
            })
        }
        "set" => Operation::Set {
            path: valid(path(&mut fields)?)?,
            data: fields
                .data()?
                .ok_or("there are no \"data\" or \"data_base64\"")?,
            version: fields.version()?,
        },
        "delete" => Operation::Delete {
            path: deletable(&path(&mut fields)?)?,
            version: fields.version()?,
        },
        other => {
            return Err(format!(
                "{other:?} is no operation: write check, create, set or delete"
            ));
        }
    };
    match fields.0.keys().next() {
        Some(unknown) => Err(format!("a {name} has no field {unknown:?}")),
        None => Ok(operation),
    }
}

/// The fields of an object that are not read yet.
struct Fields(Map<String, Value>);

impl Fields {
    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name:?} is no string")),
            None => Ok(None),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.take(name) {
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(format!("{name:?} is neither true nor false")),
            None => Ok(false),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, String> {
        let number = self.take(name);
        let number = number.map(|value| value.as_u64().ok_or(()));
        number
            .transpose()
            .map_err(|()| format!("{name:?} is no whole number"))
    }

    fn version(&mut self) -> Result<Option<i32>, String> {
        let version = self.number("version")?.map(i32::try_from).transpose();
        version.map_err(|_| "\"version\" has more than 31 bits".to_owned())
    }

    fn data(&mut self) -> Result<Option<Vec<u8>>, String> {
        match (self.text("data")?, self.text("data_base64")?) {
            (Some(_), Some(_)) => Err("there are both \"data\" and \"data_base64\"".to_owned()),
            (Some(data), None) => Ok(Some(data.into_bytes())),
            (None, Some(base64)) => from_base64(base64.as_bytes()).map(Some).map_err(text),
            (None, None) => Ok(None),
        }
    }
}
