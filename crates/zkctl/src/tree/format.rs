//! The lines of an export: JSON objects, one a line, in the order of [`order`](super::order).
//!
//! The first line names the format, its version and the root, the last one has the counts: without it, the export
//! was cut. Each line between them is a znode, by its full path. The README describes the fields; a reader ignores
//! those that it does not know, and a change that such a reader would get wrong has another version.

use std::cmp::Ordering;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};
use zk_client::{Acl, Chroot, Permissions, path};

use super::order::compare;
use super::{Kind, Node, Record};
use crate::output::node_text::{add_data, stat_json};

const FORMAT: &str = "zkctl-tree";
const VERSION: u64 = 1;

/// The first line.
pub(crate) fn header(root: &Chroot, exported: &str) -> Value {
    json!({
        "format": FORMAT,
        "version": VERSION,
        "root": root.join("/"),
        "exported": exported,
    })
}

/// The line of a znode.
pub(crate) fn record(root: &Chroot, record: &Record) -> Value {
    let mut object = Map::new();
    object.insert("path".to_owned(), root.join(record.path()).into());
    match record {
        Record::Unread { why, .. } => drop(object.insert("unread".to_owned(), why.as_str().into())),
        Record::Node(node) => {
            match &node.data {
                Some(data) => add_data(&mut object, data),
                None => drop(object.insert("data".to_owned(), Value::Null)),
            }
            object.insert("acl".to_owned(), acl_json(&node.acl));
            object.insert("kind".to_owned(), node.kind.name().into());
            if let Kind::Ttl(ttl) = node.kind {
                object.insert("ttl_ms".to_owned(), milliseconds(ttl).into());
            }
            object.insert("sequential".to_owned(), node.is_sequence().into());
            if let Some(stat) = &node.stat {
                object.insert("stat".to_owned(), stat_json(stat));
            }
        }
    }
    Value::Object(object)
}

/// The last line.
pub(crate) fn end(counts: Counts) -> Value {
    json!({ "end": true, "znodes": counts.nodes, "unread": counts.unread })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An ACL in JSON. Permissions that have no letter make a number of the whole set.
pub(crate) fn acl_json(acl: &[Acl]) -> Value {
    let entries = acl.iter().map(|entry| {
        let permissions = match Permissions::ALL.contains(entry.perms) {
            true => Value::from(entry.perms.to_string()),
            false => Value::from(entry.perms.bits()),
        };
        json!({ "scheme": entry.id.scheme, "id": entry.id.id, "permissions": permissions })
    });
    entries.collect()
}

fn read_acl(value: &Value) -> Option<Vec<Acl>> {
    value.as_array()?.iter().map(read_entry).collect()
}

fn read_entry(entry: &Value) -> Option<Acl> {
    let text = |name: &str| entry.get(name)?.as_str();
    let permissions = match entry.get("permissions")? {
        Value::String(letters) => read_letters(letters)?,
        number => Permissions(i32::try_from(number.as_i64()?).ok()?),
    };
    Some(Acl::new(permissions, text("scheme")?, text("id")?))
}

fn read_letters(letters: &str) -> Option<Permissions> {
    let mut all = Permissions::NONE;
    for letter in letters.chars() {
        all |= match letter {
            'c' => Permissions::CREATE,
            'd' => Permissions::DELETE,
            'r' => Permissions::READ,
            'w' => Permissions::WRITE,
            'a' => Permissions::ADMIN,
            _ => return None,
        };
    }
    Some(all)
}

/// How many lines of each sort there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) nodes: u64,
    pub(crate) unread: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, record: &Record) {
        match record {
            Record::Node(_) => self.nodes += 1,
            Record::Unread { .. } => self.unread += 1,
        }
    }

    pub(crate) fn total(self) -> u64 {
        self.nodes + self.unread
    }
}

/// Reads the lines of an export, one after another. Errors are texts that begin with the number of the line.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    root: Option<Chroot>,
    line: u64,
    last: Option<String>,
    counts: Counts,
    ended: bool,
}

impl Parser {
    /// The root of the tree; `None` before the first line.
    pub(crate) fn root(&self) -> Option<&Chroot> {
        self.root.as_ref()
    }

    /// The element of the next line; `None` for the first and the last.
    pub(crate) fn parse(&mut self, text: &[u8]) -> Result<Option<Record>, String> {
        self.line += 1;
        self.parse_line(text)
            .map_err(|problem| format!("line {}: {problem}", self.line))
    }

    /// Fails unless the last line was the end of an export.
    pub(crate) fn finish(&self) -> Result<(), String> {
        if self.ended {
            return Ok(());
        }
        Err(match self.last.as_ref().and(self.root.as_ref()) {
            None => "there is no tree in it; `zkctl export` writes one".to_owned(),
            Some(_) => format!(
                "it ends after line {} without the line of an end: the export was cut",
                self.line
            ),
        })
    }

    fn parse_line(&mut self, text: &[u8]) -> Result<Option<Record>, String> {
        if self.ended {
            return Err(
                "there is more after the end; write each export to a file of its own".to_owned(),
            );
        }
        let object: Map<String, Value> =
            serde_json::from_slice(text).map_err(|error| match error.is_eof() {
                true => "the line is cut off".to_owned(),
                false => "it is no JSON object of an export".to_owned(),
            })?;
        let Some(root) = &self.root else {
            self.root = Some(read_header(&object)?);
            return Ok(None);
        };
        if object.contains_key("end") {
            let count = |name: &str| object.get(name).and_then(Value::as_u64);
            let counts = (count("znodes"), count("unread"));
            if counts != (Some(self.counts.nodes), Some(self.counts.unread)) {
                return Err(
                    "the number of lines is not that of the export: some are missing".to_owned(),
                );
            }
            self.ended = true;
            return Ok(None);
        }
        let record = read_record(&object, root)?;
        let after = match &self.last {
            Some(last) => compare(last, record.path()) == Ordering::Less,
            None => true,
        };
        if !after {
            return Err(
                "the path belongs before that of the line above; an export is not sorted as text"
                    .to_owned(),
            );
        }
        self.last = Some(record.path().to_owned());
        self.counts.add(&record);
        Ok(Some(record))
    }
}

fn read_header(object: &Map<String, Value>) -> Result<Chroot, String> {
    if object.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err("it is not the first line of an export".to_owned());
    }
    match object.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        version => {
            let version = version.map_or("unknown".to_owned(), |version| version.to_string());
            return Err(format!(
                "the version of the format is {version}, and this zkctl reads version {VERSION}"
            ));
        }
    }
    let root = object.get("root").and_then(Value::as_str);
    root.and_then(|root| Chroot::new(root).ok())
        .ok_or_else(|| "the root is not the path of a znode".to_owned())
}

fn read_record(object: &Map<String, Value>, root: &Chroot) -> Result<Record, String> {
    let full = object.get("path").and_then(Value::as_str);
    let full = full.ok_or("there is no path")?;
    path::validate(full).map_err(|error| error.to_string())?;
    let path = root.strip(full).ok_or("the path is not below the root")?;
    let path = path.to_owned();
    if let Some(why) = object.get("unread").and_then(Value::as_str) {
        let why = why.to_owned();
        return Ok(Record::Unread { path, why });
    }
    let data = match (object.get("data"), object.get("data_base64")) {
        (Some(Value::Null), None) => None,
        (Some(Value::String(text)), None) => Some(text.clone().into()),
        (None, Some(Value::String(text))) => Some(
            Base64::decode_vec(text)
                .map_err(|_| "the data are not base64")?
                .into(),
        ),
        _ => return Err("there is not one field with the data".to_owned()),
    };
    let acl = object.get("acl").and_then(read_acl);
    let acl = acl.ok_or("there is no ACL")?;
    let kind = match object.get("kind").and_then(Value::as_str) {
        None => Kind::Plain,
        Some("ephemeral") => Kind::Ephemeral,
        Some("container") => Kind::Container,
        Some("ttl") => {
            let ttl = object.get("ttl_ms").and_then(Value::as_u64);
            Kind::Ttl(Duration::from_millis(ttl.ok_or("there is no ttl_ms")?))
        }
        Some(_) => return Err("the kind is unknown".to_owned()),
    };
    Ok(Record::Node(Node {
        path,
        data,
        acl,
        kind,
        stat: None,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::super::samples::node;
    use super::*;

    fn root() -> Chroot {
        Chroot::new("/app").unwrap()
    }

    fn header_line() -> String {
        header(&root(), "now").to_string()
    }

    /// The records, or the problem.
    fn read(lines: &[String]) -> Result<Vec<Record>, String> {
        let mut parser = Parser::default();
        let mut records = Vec::new();
        for line in lines {
            records.extend(parser.parse(line.as_bytes())?);
        }
        parser.finish().map(|()| records)
    }

    fn export(records: &[Record]) -> Vec<String> {
        let mut counts = Counts::default();
        let mut lines = vec![header_line()];
        for it in records {
            counts.add(it);
            lines.push(record(&root(), it).to_string());
        }
        lines.push(end(counts).to_string());
        lines
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Plain),
            Just(Kind::Ephemeral),
            Just(Kind::Container),
            (1..u64::from(u32::MAX)).prop_map(|ms| Kind::Ttl(Duration::from_millis(ms))),
        ]
    }

    prop_compose! {
        fn acls()(perms in any::<i32>(), scheme in "[a-z]{1,8}", id in ".{0,12}") -> Acl {
            Acl::new(Permissions(perms), scheme, id)
        }
    }

    prop_compose! {
        fn nodes()(
            name in r"[a-z0-9 !~é\u{4e00}-\u{4eff}-]{1,12}",
            data in option::of(vec(any::<u8>(), 0..40)),
            acl in vec(acls(), 0..3),
            kind in kinds(),
        ) -> Node {
            Node { path: format!("/{name}"), data: data.map(Into::into), acl, kind, stat: None }
        }
    }

    proptest! {
        #[test]
        fn a_node_is_read_as_it_was_written(node in nodes()) {
            let records = [Record::Node(node)];
            prop_assert_eq!(read(&export(&records)), Ok(records.to_vec()));
        }

        #[test]
        fn any_line_is_read_or_refused(text in vec(any::<u8>(), 0..60)) {
            let mut parser = Parser::default();
            parser.parse(header_line().as_bytes()).unwrap();
            let _ = parser.parse(&text);
        }
    }

    #[test]
    fn a_line_has_the_full_path_and_its_fields() {
        let mut seen = node("/q-0000000001", "x");
        seen.kind = Kind::Ttl(Duration::from_secs(5));
        let expected = json!({
            "path": "/app/q-0000000001",
            "data": "x",
            "acl": [{ "scheme": "world", "id": "anyone", "permissions": "cdrwa" }],
            "kind": "ttl",
            "ttl_ms": 5000,
            "sequential": true,
        });
        assert_eq!(record(&root(), &Record::Node(seen)), expected);
        let unread = Record::Unread {
            path: "/".to_owned(),
            why: "no".to_owned(),
        };
        let expected = json!({ "path": "/app", "unread": "no" });
        assert_eq!(record(&root(), &unread), expected);
    }

    #[test]
    fn a_cut_export_is_recognized() {
        let records = ["/", "/a", "/a/b"].map(|path| Record::Node(node(path, "v")));
        let lines = export(&records);
        assert_eq!(read(&lines).map(|read| read.len()), Ok(3));
        let problem = |lines: &[String]| read(lines).unwrap_err();
        assert!(problem(&lines[..4]).contains("cut"));
        assert!(problem(&lines[..0]).contains("no tree"));
        let mut cut = lines.clone();
        cut[3].truncate(20);
        assert!(problem(&cut).starts_with("line 4: the line is cut off"));
        let mut gap = lines.clone();
        gap.remove(2);
        assert!(problem(&gap).contains("missing"));
        let mut two = lines.clone();
        two.extend(lines);
        assert!(problem(&two).contains("after the end"));
    }

    #[test]
    fn what_is_no_export_is_refused() {
        for (line, word) in [
            ("{}", "first line"),
            (
                r#"{"format":"zkctl-tree","version":2,"root":"/"}"#,
                "version 1",
            ),
            (r#"{"format":"zkctl-tree","version":1,"root":"a"}"#, "root"),
            ("[1]", "no JSON object"),
        ] {
            let problem = read(&[line.to_owned()]).unwrap_err();
            assert!(
                problem.starts_with("line 1: ") && problem.contains(word),
                "{problem}"
            );
        }
        for (line, word) in [
            (r#"{"path":"/other/a"}"#, "below"),
            (r#"{"path":"/app/../a"}"#, "/app/../a"),
            (r#"{"data":""}"#, "no path"),
            (r#"{"path":"/app","data":"","data_base64":""}"#, "one field"),
            (r#"{"path":"/app","data_base64":"!"}"#, "base64"),
            (r#"{"path":"/app","data":""}"#, "ACL"),
            (
                r#"{"path":"/app","data":"","acl":[{"permissions":"x"}]}"#,
                "ACL",
            ),
            (r#"{"path":"/app","data":"","acl":[],"kind":"new"}"#, "kind"),
            (
                r#"{"path":"/app","data":"","acl":[],"kind":"ttl"}"#,
                "ttl_ms",
            ),
        ] {
            let problem = read(&[header_line(), line.to_owned()]).unwrap_err();
            assert!(
                problem.starts_with("line 2: ") && problem.contains(word),
                "{problem}"
            );
        }
    }

    #[test]
    fn lines_out_of_order_are_refused() {
        let records = ["/a-b", "/a/b"].map(|path| Record::Node(node(path, "")));
        let problem = read(&export(&records)).unwrap_err();
        assert!(
            problem.starts_with("line 3: ") && problem.contains("before"),
            "{problem}"
        );
    }
}
