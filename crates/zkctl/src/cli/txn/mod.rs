//! The arguments of `txn`, and the operations that it reads: one a line, as commands or as JSON.

mod json;
mod lines;
mod operation;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::data::Given;
use super::input;
use crate::output::failure::Failure;

pub(crate) use operation::Operation;

#[derive(Args)]
pub(crate) struct Txn {
    /// The file with the operations; standard input if - or absent
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What the file holds.
    #[arg(skip)]
    pub(crate) operations: Vec<Operation>,
}

impl Txn {
    /// Reads the operations.
    pub(crate) fn read(&mut self, limit: Option<usize>) -> Result<(), Failure> {
        let given = Given {
            file: self.file.take().filter(|file| file.as_os_str() != "-"),
            ..Given::default()
        };
        let text = input::data(Some(OsString::from("-")), &given, limit)?;
        let text = String::from_utf8(text)
            .map_err(|_| Failure::Usage("the operations are not UTF-8".to_owned()))?;
        self.operations = operations(&text)?;
        if self.operations.is_empty() {
            return Err(Failure::Usage(
                "there is no operation; write one a line, as in: check /a 3".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Reads an array of JSON, or lines: commands, objects of JSON, comments that begin with `#`.
fn operations(text: &str) -> Result<Vec<Operation>, Failure> {
    if text.trim_start().starts_with('[') {
        return json::array(text).map_err(Failure::Usage);
    }
    let lines = text.lines().zip(1..);
    lines
        .map(|(line, number)| (line.trim(), number))
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| {
            let read = match line.starts_with('{') {
                true => json::object(line),
                false => lines::command(line),
            };
            read.map_err(|problem| Failure::Usage(format!("line {number}: {problem}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Operation> {
        match operations(text) {
            Ok(operations) => operations,
            Err(Failure::Usage(problem)) => panic!("{problem}"),
            Err(_) => panic!("not a usage error"),
        }
    }

    fn problem(text: &str) -> String {
        match operations(text) {
            Err(Failure::Usage(problem)) => problem,
            _ => panic!("{text} is read"),
        }
    }

    #[test]
    fn lines_and_json_mean_the_same() {
        let lines = "# a comment\n\ncheck /a\ncheck /a 3\ncreate /b\ncreate -s /b/n- 'x y'\n\
                     create --ttl 5s /t '' --acl world:anyone:r\ncreate -c /c\nset /a \"new\"\n\
                     set /a --version 4 --base64 /wA=\ndelete /d\ndelete /e --version 0\n";
        let json = r#"
            {"op":"check","path":"/a"}
            {"op":"check","path":"/a","version":3}
            {"op":"create","path":"/b"}
            {"op":"create","path":"/b/n-","data":"x y","sequential":true}
            {"op":"create","path":"/t","ttl_ms":5000,"acl":"world:anyone:r"}
            {"op":"create","path":"/c","container":true}
            {"op":"set","path":"/a","data":"new"}
            {"op":"set","path":"/a","data_base64":"/wA=","version":4}
            {"op":"delete","path":"/d"}
            {"op":"delete","path":"/e","version":0}
        "#;
        let operations = read(lines);
        assert_eq!(operations.len(), 10);
        assert_eq!(read(json), operations);
        let array = format!("[{}]", json.trim().replace("}\n", "},\n"));
        assert_eq!(read(&array), operations);
        assert_eq!(read(&format!("check /a\n{}", json.trim()))[1..], operations);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, words) in [
            ("check /a\nrename /a", &["line 2", "rename"][..]),
            ("set /a", &["line 1", "DATA"]),
            ("create a", &["line 1", "must start"]),
            ("create -e /a", &["line 1", "-e"]),
            ("delete /", &["line 1", "root"]),
            ("set /a 'x", &["line 1", "quote"]),
            ("\n{\"op\":\"set\",\"path\":\"/a\"}", &["line 2", "data"]),
            (
                "{\"op\":\"set\",\"path\":\"/a\",\"data\":\"\",\"x\":1}",
                &["line 1", "\"x\""],
            ),
            (
                "{\"op\":\"create\",\"path\":\"/a\",\"ephemeral\":true}",
                &["ephemeral"],
            ),
            (
                "{\"op\":\"check\",\"path\":\"/a\",\"version\":-1}",
                &["version"],
            ),
            ("{\"op\":\"delete\",\"path\":1}", &["path"]),
            (
                "[{\"op\":\"check\",\"path\":\"/a\"},{\"op\":\"x\"}]",
                &["operation 2", "\"x\""],
            ),
            ("[", &["JSON"]),
        ] {
            let problem = problem(text);
            for word in words {
                assert!(problem.contains(word), "{text}: no {word:?} in {problem}");
            }
            assert_eq!(problem.lines().count(), 1, "{problem}");
        }
    }
}
