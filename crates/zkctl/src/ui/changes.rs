//! What changes znodes: edits, deletions, and the conflicts of edits.

use bytes::Bytes;
use zk_client::Stat;

use super::document::one_line;
use super::model::{Editing, Mode, Model, Purpose, Unwritten, Write};
use super::request::{Request, Unfinished};
use crate::screen::Key;

/// What to do with data that are not written.
pub(super) fn edited_again(path: &str) -> String {
    format!(" (e edits your data of {} again)", one_line(path))
}

impl Model {
    pub(super) fn edit(&mut self) {
        let (Some(data), Some(stat)) = (self.shown.data().cloned(), self.shown.stat().copied())
        else {
            self.fail("the data are not read");
            return;
        };
        let path = self.shown.path.clone();
        let (mine, version) = match self.unwritten.get(&path) {
            Some(kept) if kept.write == Write::Requested => {
                self.fail(format!(
                    "your data of {} are being written: e edits them after the reply",
                    one_line(&path)
                ));
                return;
            }
            // With this version the server refuses to overwrite what another client has written since.
            Some(kept) if kept.data != data => (kept.data.clone(), kept.version),
            _ => (data.clone(), stat.version),
        };
        self.edit_data(path, mine, data, version);
    }

    /// Requests a write of these data, which are kept until a reply says that they are written.
    pub(super) fn write(&mut self, path: String, data: Bytes, version: i32) {
        let kept = Unwritten {
            data: data.clone(),
            version,
            write: Write::Requested,
        };
        self.unwritten.insert(path.clone(), kept);
        self.request(Request::Set {
            path,
            data,
            version,
        });
    }

    /// A write has failed.
    pub(super) fn not_written(&mut self, path: &str, write: Write) {
        if let Some(kept) = self.unwritten.get_mut(path) {
            kept.write = write;
        }
    }

    /// The data of this version were shown beside those that are not written.
    fn compared(&mut self, path: &str, version: i32) {
        if let Some(kept) = self.unwritten.get_mut(path) {
            kept.version = version;
        }
    }

    /// Edits these data of a znode that has others at present.
    fn edit_data(&mut self, path: String, data: Bytes, present: Bytes, version: i32) {
        if data.starts_with(&[0x1f, 0x8b]) {
            self.fail("the data are compressed: write them with zkctl set --file");
            return;
        }
        if self.has_editor {
            self.editing = Some(Editing { version, present });
            self.request(Request::Edit { path, data });
            return;
        }
        match str::from_utf8(&data) {
            Ok(text) if !text.chars().any(char::is_control) => {
                self.ask(Purpose::Data { path, version }, text);
            }
            _ => self
                .fail("the data are not one line of text: set EDITOR to a program that edits them"),
        }
    }

    pub(super) fn edited(&mut self, path: String, data: Result<Bytes, Unfinished>) {
        let Some(Editing { version, present }) = self.editing.take() else {
            return;
        };
        match data {
            Ok(data) if data == present => {
                self.unwritten.remove(&path);
                self.say("the data are the same: nothing is written");
            }
            Ok(data) => self.write(path, data, version),
            Err(Unfinished { why, data }) => {
                let kept = match data.filter(|data| *data != present) {
                    Some(data) => {
                        let again = edited_again(&path);
                        let write = Write::None;
                        let kept = Unwritten {
                            data,
                            version,
                            write,
                        };
                        self.unwritten.insert(path, kept);
                        again
                    }
                    None => String::new(),
                };
                self.fail(format!("{why}; nothing is written{kept}"));
            }
        }
    }

    pub(super) fn delete(&mut self) {
        let path = self.shown.path.clone();
        let Some(stat) = self.shown.stat() else {
            self.fail("the znode is not read");
            return;
        };
        if path == "/" {
            self.fail("the root cannot be deleted");
            return;
        }
        self.mode = Mode::Delete {
            path: path.clone(),
            version: stat.version,
            below: None,
        };
        self.request(Request::Count(path));
    }

    pub(super) fn confirm(
        &mut self,
        key: Key,
        path: String,
        version: i32,
        below: Option<Result<u64, String>>,
    ) {
        match (key, &below) {
            (Key::Char('y' | 'Y'), Some(Ok(below))) => {
                // A znode that has been changed since it was shown is not deleted.
                let version = (*below == 0).then_some(version);
                self.request(Request::Delete { path, version });
            }
            (Key::Char('n' | 'N' | 'q') | Key::Escape, _) | (_, Some(Err(_))) => {
                self.say("nothing is deleted");
            }
            _ => {
                self.mode = Mode::Delete {
                    path,
                    version,
                    below,
                }
            }
        }
    }

    /// Asks about the next conflict, unless the keys go to something else.
    pub(super) fn open_conflict(&mut self) {
        if !matches!(self.mode, Mode::Browse) {
            return;
        }
        let Some((path, mine)) = self.conflicts.pop_front() else {
            return;
        };
        self.mode = Mode::Conflict {
            path: path.clone(),
            mine,
            theirs: None,
        };
        if path != self.shown.path {
            self.reveal(&path);
        }
        self.read_shown();
    }

    pub(super) fn resolve(
        &mut self,
        key: Key,
        path: String,
        mine: Bytes,
        theirs: Option<(Bytes, Stat)>,
    ) {
        match (key, theirs) {
            (Key::Char('o'), Some((_, stat))) => {
                self.write(path, mine, stat.version);
            }
            (Key::Char('e'), Some((theirs, stat))) => {
                self.compared(&path, stat.version);
                self.edit_data(path, mine, theirs, stat.version);
            }
            (Key::Escape | Key::Char('q'), theirs) => {
                if let Some((_, stat)) = theirs {
                    self.compared(&path, stat.version);
                }
                self.say(format!("nothing is written{}", edited_again(&path)));
            }
            (_, theirs) => self.mode = Mode::Conflict { path, mine, theirs },
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::replies::tests::{browser, content, read, type_keys};
    use super::super::request::{Content, Refused, Reply};
    use super::*;
    use crate::screen::Event;

    pub(in super::super) fn said(model: &Model) -> &str {
        model.message.as_ref().map_or("", |message| &message.text)
    }

    #[test]
    fn nothing_is_changed_without_write() {
        let mut model = browser(false);
        for keys in ["e", "c", "d"] {
            type_keys(&mut model, keys);
            assert!(said(&model).contains("--write"), "{}", said(&model));
            assert!(matches!(model.mode, Mode::Browse));
        }
        model.event(Event::Key(Key::Delete));
        assert_eq!(model.requests(), []);
    }

    #[test]
    fn a_deletion_says_how_much() {
        let mut model = browser(true);
        model.event(Event::Key(Key::Down));
        model.reply(read("/a", "", 7));
        model.requests();
        let counted = |count| Reply::Counted {
            path: "/a".to_owned(),
            count: Ok(count),
        };
        let delete = |version| Request::Delete {
            path: "/a".to_owned(),
            version,
        };
        type_keys(&mut model, "d");
        assert_eq!(model.requests(), [Request::Count("/a".to_owned())]);
        // Not before it is counted.
        type_keys(&mut model, "y");
        assert_eq!(model.requests(), []);
        model.reply(counted(0));
        type_keys(&mut model, "y");
        assert_eq!(model.requests(), [delete(Some(7))]);
        type_keys(&mut model, "d");
        model.reply(counted(12));
        type_keys(&mut model, "xn");
        assert_eq!(model.requests(), [Request::Count("/a".to_owned())]);
        type_keys(&mut model, "d");
        model.reply(counted(12));
        type_keys(&mut model, "y");
        assert!(model.requests().contains(&delete(None)));
    }

    #[test]
    fn a_creation_asks_name_and_data() {
        let mut model = browser(true);
        type_keys(&mut model, "cnew\nsome data\n");
        let create = Request::Create {
            path: "/new".to_owned(),
            data: Bytes::from("some data"),
        };
        assert_eq!(model.requests(), [create]);
        type_keys(&mut model, "c..\n");
        assert!(said(&model).contains("relative"), "{}", said(&model));
    }

    #[test]
    fn data_that_are_no_line_need_an_editor() {
        let mut model = browser(true);
        model.event(Event::Key(Key::Down));
        model.reply(read("/a", "two\nlines", 0));
        type_keys(&mut model, "e");
        assert!(said(&model).contains("EDITOR"), "{}", said(&model));
        model.has_editor = true;
        model.requests();
        type_keys(&mut model, "e");
        let edit = Request::Edit {
            path: "/a".to_owned(),
            data: Bytes::from("two\nlines"),
        };
        assert_eq!(model.requests(), [edit]);
        let packed = Content {
            data: Ok(Bytes::from_static(&[0x1f, 0x8b, 8])),
            ..content("", 0)
        };
        model.reply(Reply::Read {
            path: "/a".to_owned(),
            content: Ok(packed),
        });
        type_keys(&mut model, "e");
        assert!(said(&model).contains("compressed"), "{}", said(&model));
    }

    /// A browser that is writing `mine` to `/a`.
    pub(in super::super) fn writing() -> Model {
        let mut model = browser(true);
        model.event(Event::Key(Key::Down));
        model.reply(read("/a", "old", 4));
        type_keys(&mut model, "e");
        for _ in 0..3 {
            model.event(Event::Key(Key::Backspace));
        }
        type_keys(&mut model, "mine\n");
        let set = Request::Set {
            path: "/a".to_owned(),
            data: Bytes::from("mine"),
            version: 4,
        };
        assert!(model.requests().contains(&set));
        model
    }

    pub(in super::super) fn written(done: Result<(), Refused>) -> Reply {
        Reply::Set {
            path: "/a".to_owned(),
            data: Bytes::from("mine"),
            done,
        }
    }

    #[test]
    fn a_late_conflict_takes_no_typed_keys() {
        let mut model = writing();
        type_keys(&mut model, "cne");
        model.reply(written(Err(Refused::Version)));
        type_keys(&mut model, "w\nsome data\n");
        let create = Request::Create {
            path: "/a/new".to_owned(),
            data: Bytes::from("some data"),
        };
        assert!(model.requests().contains(&create));
        // The prompt is over.
        let Mode::Conflict { path, mine, .. } = &model.mode else {
            panic!("{:?}", model.mode);
        };
        assert_eq!((&**path, &**mine), ("/a", &b"mine"[..]));
    }

    #[test]
    fn unwritten_data_are_edited_again() {
        let mut model = writing();
        model.reply(written(Err(Refused::Failed("no".to_owned()))));
        assert!(
            said(&model).contains("e edits your data of /a"),
            "{}",
            said(&model)
        );
        type_keys(&mut model, "q");
        assert!(said(&model).contains("not written"), "{}", said(&model));
        assert!(!model.requests().contains(&Request::Quit));
        type_keys(&mut model, "e!\n");
        let set = Request::Set {
            path: "/a".to_owned(),
            data: Bytes::from("mine!"),
            version: 4,
        };
        assert_eq!(model.requests(), [set]);
    }

    #[test]
    fn no_end_of_an_edit_loses_the_text() {
        let mut model = browser(true);
        model.event(Event::Key(Key::Down));
        model.reply(read("/a", "old", 4));
        model.has_editor = true;
        let edits = |model: &mut Model, began: &'static str, left: Result<&'static str, &str>| {
            model.requests();
            type_keys(model, "e");
            let edit = Request::Edit {
                path: "/a".to_owned(),
                data: Bytes::from(began),
            };
            assert_eq!(model.requests(), [edit]);
            let data = match left {
                Ok(left) => Ok(Bytes::from(left)),
                Err(left) => Err(Unfinished {
                    why: "vim: exit status: 1".to_owned(),
                    data: Some(Bytes::copy_from_slice(left.as_bytes())),
                }),
            };
            model.reply(Reply::Edited {
                path: "/a".to_owned(),
                data,
            });
        };
        // The editor fails.
        edits(&mut model, "old", Err("mine"));
        assert_eq!(
            said(&model),
            "vim: exit status: 1; nothing is written (e edits your data of /a again)"
        );
        edits(&mut model, "mine", Ok("mine"));
        let set = |version| Request::Set {
            path: "/a".to_owned(),
            data: Bytes::from("mine"),
            version,
        };
        assert_eq!(model.requests(), [set(4)]);
        // Esc at the question about a conflict.
        model.reply(written(Err(Refused::Version)));
        model.reply(read("/a", "theirs", 5));
        model.event(Event::Key(Key::Escape));
        assert!(
            said(&model).ends_with("(e edits your data of /a again)"),
            "{}",
            said(&model)
        );
        type_keys(&mut model, "q");
        assert!(said(&model).contains("not written"), "{}", said(&model));
        edits(&mut model, "mine", Ok("mine"));
        assert_eq!(model.requests(), [set(5)]);
        model.reply(written(Ok(())));
        // Nothing is left of an edit that has changed nothing.
        model.reply(read("/a", "mine", 6));
        edits(&mut model, "mine", Err("mine"));
        assert_eq!(said(&model), "vim: exit status: 1; nothing is written");
        type_keys(&mut model, "q");
        assert!(model.requests().contains(&Request::Quit));
    }

    #[test]
    fn an_escaped_prompt_keeps_unwritten_data() {
        let mut model = writing();
        model.reply(written(Err(Refused::Failed("no".to_owned()))));
        type_keys(&mut model, "e");
        model.event(Event::Key(Key::Escape));
        type_keys(&mut model, "e\n");
        let set = Request::Set {
            path: "/a".to_owned(),
            data: Bytes::from("mine"),
            version: 4,
        };
        assert!(model.requests().contains(&set));
    }

    /// Whatever ends the browser before the reply.
    #[test]
    fn a_text_is_kept_before_the_reply() {
        let mut model = writing();
        let kept = Unwritten {
            data: Bytes::from("mine"),
            version: 4,
            write: Write::Requested,
        };
        assert_eq!(model.unwritten.get("/a"), Some(&kept));
        // Two writes of one version would conflict with each other.
        type_keys(&mut model, "e");
        assert!(said(&model).contains("being written"), "{}", said(&model));
        model.reply(written(Err(Refused::Unknown("lost".to_owned()))));
        let kept = model.unwritten.get("/a").map(|kept| kept.write);
        assert_eq!(kept, Some(Write::Unknown));
        type_keys(&mut model, "e\n");
        model.reply(written(Ok(())));
        assert!(model.unwritten.is_empty(), "{:?}", model.unwritten);
    }

    #[test]
    fn a_kept_text_overwrites_no_other_client() {
        let set = |data: &'static str, version| Request::Set {
            path: "/a".to_owned(),
            data: Bytes::from(data),
            version,
        };
        let mut model = writing();
        model.reply(written(Err(Refused::Failed("no".to_owned()))));
        model.reply(read("/a", "theirs", 5));
        model.requests();
        type_keys(&mut model, "e\n");
        assert_eq!(model.requests(), [set("mine", 4)]);
        model.reply(written(Err(Refused::Version)));
        model.reply(read("/a", "theirs", 5));
        assert!(
            matches!(
                &model.mode,
                Mode::Conflict {
                    theirs: Some(_),
                    ..
                }
            ),
            "{:?}",
            model.mode
        );
        model.requests();
        type_keys(&mut model, "o");
        assert_eq!(model.requests(), [set("mine", 5)]);
        // The write has taken effect nevertheless: the next edit is one of what is shown.
        model.reply(written(Err(Refused::Unknown("lost".to_owned()))));
        model.reply(read("/a", "mine", 6));
        type_keys(&mut model, "e!\n");
        assert_eq!(model.requests(), [set("mine!", 6)]);
    }

    #[test]
    fn the_text_after_a_failed_write_is_shown() {
        let mut model = browser(true);
        model.reply(Reply::Set {
            path: "/a".to_owned(),
            data: Bytes::new(),
            done: Err(Refused::Failed("no".to_owned())),
        });
        assert!(said(&model).starts_with("no"), "{}", said(&model));
    }
}
