//! The model's reaction to replies, events of watches and the state of the session.

use bytes::Bytes;
use zk_client::{State, path};

use super::changes::edited_again;
use super::document::{Document, one_line};
use super::model::{Mode, Model, Write};
use super::request::{Content, Refused, Reply, Request, Unread};
use super::tree::{Mark, Tree};

/// How many results of a search by name are kept.
const MAX_FOUND: usize = 10_000;

impl Model {
    fn set(&mut self, path: String, data: Bytes, done: Result<(), Refused>) {
        match done {
            Ok(()) => {
                self.say(format!("{} is written", one_line(&path)));
                self.written = Some(data);
                self.unwritten.remove(&path);
                self.read_if_shown(&path);
            }
            Err(Refused::Version) => {
                self.not_written(&path, Write::None);
                self.conflicts.push_back((path, data));
                self.open_conflict();
            }
            Err(Refused::Failed(why)) => {
                self.not_written(&path, Write::None);
                self.fail(format!("{why}{}", edited_again(&path)));
            }
            Err(Refused::Unknown(why)) => {
                self.not_written(&path, Write::Unknown);
                self.fail(format!("{why}{}", edited_again(&path)));
            }
        }
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Children { path, names } => self.children_read(&path, names),
            Reply::Read { path, content } => self.content_read(&path, content),
            Reply::Stale(path) => {
                self.children_changed(&path);
                if path == self.shown.path {
                    self.read_shown();
                }
            }
            Reply::DataChanged(path) => {
                if path == self.shown.path {
                    self.read_shown();
                } else if let Ok(id) = self.tree.find(&path) {
                    self.tree.set_mark(id, Some(Mark::Changed));
                }
            }
            Reply::ChildrenChanged(path) => {
                self.children_changed(&path);
                // The stat is another.
                if path == self.shown.path {
                    self.read_shown();
                }
            }
            Reply::Deleted(path) => {
                // The parent's children are read again, unless it is not watched.
                let parent = path::parent(&path).unwrap_or("/").to_owned();
                self.children_changed(&parent);
                if path == self.shown.path {
                    self.read_shown();
                }
            }
            Reply::NotWatched { path, why } => {
                self.watched.remove(&path);
                if path == self.shown.path {
                    self.shown.watched = false;
                    self.shown.not_watched = Some(why);
                }
            }
            Reply::Found {
                number,
                paths,
                visited,
            } => {
                if let Mode::Find(find) = &mut self.mode
                    && find.number == number
                {
                    find.visited = visited;
                    find.found.extend(paths);
                    if find.found.len() >= MAX_FOUND {
                        find.found.truncate(MAX_FOUND);
                        find.ended = Some(Err(format!("stopped after {MAX_FOUND} znodes")));
                        self.request(Request::StopFind);
                    }
                }
            }
            Reply::FindEnded {
                number,
                visited,
                error,
            } => {
                if let Mode::Find(find) = &mut self.mode
                    && find.number == number
                    && find.ended.is_none()
                {
                    find.visited = visited;
                    find.ended = Some(error.map_or(Ok(()), Err));
                }
            }
            Reply::Set { path, data, done } => {
                let succeeded = done.is_ok();
                self.set(path, data, done);
                self.changed(succeeded);
            }
            Reply::Created { path, done } => {
                let succeeded = done.is_ok();
                match done {
                    Ok(()) => {
                        self.say(format!("{} is created", one_line(&path)));
                        self.reveal(&path);
                    }
                    Err(why) => self.fail(why),
                }
                self.changed(succeeded);
            }
            Reply::Counted {
                path: counted,
                count,
            } => {
                if let Mode::Delete { path, below, .. } = &mut self.mode
                    && *path == counted
                {
                    *below = Some(count);
                }
            }
            Reply::Deletion { path, done } => {
                let succeeded = done.is_ok();
                match done {
                    Ok(()) => self.say(format!("{} is deleted", one_line(&path))),
                    Err(why) => self.fail(why),
                }
                self.changed(succeeded);
                let parent = path::parent(&path).unwrap_or("/").to_owned();
                self.children_changed(&parent);
            }
            Reply::Edited { path, data } => self.edited(path, data),
            Reply::State { state, server } => self.state_changed(state, server),
        }
    }

    fn read_if_shown(&mut self, path: &str) {
        if path == self.shown.path {
            self.read_shown();
        }
    }

    fn children_changed(&mut self, path: &str) {
        if let Ok(id) = self.tree.find(path)
            && self.tree.is_expanded(id)
        {
            self.read_children(path);
        }
    }

    fn children_read(&mut self, path: &str, names: Result<Vec<String>, Unread>) {
        if self.reading.remove(path) == Some(true) {
            self.read_children(path);
        }
        let Ok(id) = self.tree.find(path) else {
            return;
        };
        let row = self.tree.row_of(self.selected);
        match names {
            Ok(names) => {
                let shown = self.shown.path.clone();
                let difference = self.tree.set_children(id, names);
                if difference.gone > 0 {
                    let znodes = if difference.gone == 1 {
                        "znode"
                    } else {
                        "znodes"
                    };
                    let below = one_line(path).into_owned();
                    if matches!(self.mode, Mode::Browse) && self.message.is_none() {
                        self.say(format!(
                            "{} {znodes} below {below} deleted",
                            difference.gone
                        ));
                    }
                    self.forget_removed();
                }
                // Its id may be that of another znode now.
                match self.tree.find(&shown) {
                    Ok(selected) => {
                        self.selected = selected;
                        self.keep_selected(row);
                    }
                    Err(_) => {
                        self.say(format!("{} was deleted", one_line(&shown)));
                        self.selected = Tree::ROOT;
                        let top = self.top;
                        self.select_row(row.min(self.tree.rows().len().saturating_sub(1)));
                        self.top = top.min(self.tree.row_of(self.selected));
                        self.scroll_to_selected();
                    }
                }
            }
            Err(Unread::Gone) => {
                if id != Tree::ROOT {
                    self.tree.set_children(id, Vec::new());
                    self.collapse(id);
                    let parent = self.tree.path(self.tree.parent(id));
                    self.children_changed(&parent);
                }
            }
            Err(Unread::Failed(why)) => {
                self.tree.set_unread(id, Some(why.clone()));
                self.fail(why);
            }
        }
        if let Some(wanted) = self.revealing.clone() {
            match self.tree.find(&wanted) {
                Err(above) if self.tree.path(above) == path && !self.reading.contains_key(path) => {
                    self.revealing = None;
                    self.select(above);
                    self.fail(format!("{} does not exist", one_line(&wanted)));
                }
                _ => self.reveal(&wanted),
            }
        }
    }

    /// Ends the watches of znodes that are gone.
    fn forget_removed(&mut self) {
        let gone: Vec<String> = self
            .watched
            .iter()
            .filter(|path| self.tree.find(path).is_err())
            .cloned()
            .collect();
        for path in gone {
            self.watched.remove(&path);
            self.request(Request::Unwatch(path));
        }
    }

    fn content_read(&mut self, path: &str, content: Result<Content, Unread>) {
        self.shown.reading = false;
        if self.shown.path != path {
            self.read_shown();
            return;
        }
        let after = content.as_ref().ok();
        let after = after.and_then(|content| content.data.as_ref().ok());
        let is_new = after != self.shown.data();
        if let Some(after) = after {
            let before = self.shown.last.replace(after.clone());
            if before.is_some_and(|before| before != *after) {
                self.shown.changed = self.written.as_ref() != Some(after);
            }
        }
        if let (
            Mode::Conflict {
                path: conflict,
                theirs,
                ..
            },
            Ok(content),
        ) = (&mut self.mode, &content)
            && conflict == path
            && let (Ok(data), Some(stat)) = (&content.data, &content.stat)
        {
            *theirs = Some((data.clone(), *stat));
        }
        if is_new {
            self.shown.document = after.map(|data| Document::new(data, self.format));
        }
        if let Ok(Content {
            stat: Some(stat), ..
        }) = &content
        {
            self.tree.set_count(self.selected, stat.num_children);
        }
        let is_gone = content == Err(Unread::Gone);
        self.shown.content = Some(content);
        if std::mem::take(&mut self.shown.stale) {
            self.read_shown();
        }
        if is_gone {
            let parent = path::parent(path).unwrap_or("/").to_owned();
            self.children_changed(&parent);
        } else if !self.shown.watched && self.shown.not_watched.is_none() {
            self.shown.watched = true;
            self.watch(path);
        }
    }

    fn state_changed(&mut self, state: State, server: Option<String>) {
        let session = &mut self.session;
        session.server = server;
        let before = std::mem::replace(&mut session.state, state);
        match state {
            State::Connected { session: id, .. } => match session.last.replace(id) {
                Some(last) if last != id => self
                    .say("new session: the one before expired, and its ephemeral znodes are gone"),
                Some(_) if matches!(before, State::Suspended { .. }) => {
                    self.say("connected again, with the same session");
                }
                _ => {}
            },
            State::Expired { .. } => self.fail("the session expired: waiting for a new one"),
            _ => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, Instant, UNIX_EPOCH};

    use bytes::Bytes;
    use ratatui::layout::Rect;
    use zk_client::{Acl, SessionId, Stat};

    use super::*;
    use crate::screen::{Event, Key};

    pub(in super::super) fn content(data: &'static str, version: i32) -> Content {
        let mut stat = Stat::default();
        stat.version = version;
        stat.data_length = i32::try_from(data.len()).unwrap();
        Content {
            data: Ok(Bytes::from(data)),
            stat: Some(stat),
            acl: Ok(Acl::open()),
        }
    }

    pub(in super::super) fn children(path: &str, names: &[&str]) -> Reply {
        Reply::Children {
            path: path.to_owned(),
            names: Ok(names.iter().map(|&name| name.to_owned()).collect()),
        }
    }

    pub(in super::super) fn read(path: &str, data: &'static str, version: i32) -> Reply {
        Reply::Read {
            path: path.to_owned(),
            content: Ok(content(data, version)),
        }
    }

    pub(in super::super) fn type_keys(model: &mut Model, text: &str) {
        for c in text.chars() {
            let key = if c == '\n' { Key::Enter } else { Key::Char(c) };
            model.event(Event::Key(key));
        }
    }

    /// A browser that shows `/` with `a` and `b`, and has nothing left to request.
    pub(in super::super) fn browser(writable: bool) -> Model {
        let now = (
            Instant::now(),
            UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        );
        let mut model = Model::new("zk1:2181".to_owned(), writable, false, now);
        model.fit(Rect::new(0, 0, 80, 24));
        let first = model.requests();
        assert_eq!(
            first,
            [
                Request::Watch("/".to_owned()),
                Request::Children("/".to_owned()),
                Request::Read("/".to_owned())
            ]
        );
        model.reply(children("/", &["b", "a"]));
        model.reply(read("/", "", 0));
        assert_eq!(model.requests(), []);
        model
    }

    fn visible(model: &Model) -> Vec<String> {
        let rows = model.tree.rows().iter();
        rows.map(|&id| model.tree.path(id)).collect()
    }

    fn said(model: &Model) -> &str {
        model.message.as_ref().map_or("", |message| &message.text)
    }

    #[test]
    fn one_list_is_read_at_a_time() {
        let mut model = browser(false);
        for _ in 0..3 {
            model.reply(Reply::ChildrenChanged("/".to_owned()));
        }
        let requests = model.requests();
        let lists = |requests: &[Request]| {
            let lists = requests.iter();
            lists
                .filter(|request| matches!(request, Request::Children(_)))
                .count()
        };
        assert_eq!(lists(&requests), 1);
        // The changes during the read are not missed.
        model.reply(children("/", &["a", "b", "c"]));
        assert_eq!(lists(&model.requests()), 1);
        model.reply(children("/", &["a", "b", "c", "d"]));
        assert_eq!(lists(&model.requests()), 0);
        assert_eq!(visible(&model), ["/", "/a", "/b", "/c", "/d"]);
    }

    #[test]
    fn a_held_arrow_key_reads_one_znode() {
        let mut model = browser(false);
        let names: Vec<String> = (0..100).map(|i| format!("{i:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        model.reply(children("/", &names));
        model.requests();
        for _ in 0..50 {
            model.event(Event::Key(Key::Down));
        }
        assert_eq!(model.requests(), [Request::Read("/00".to_owned())]);
        model.reply(read("/00", "old", 0));
        assert_eq!(model.requests(), [Request::Read("/49".to_owned())]);
        model.reply(read("/49", "new", 0));
        // Only what is read and still shown is watched.
        assert_eq!(model.requests(), [Request::Watch("/49".to_owned())]);
        model.event(Event::Key(Key::Up));
        assert_eq!(
            model.requests(),
            [
                Request::Unwatch("/49".to_owned()),
                Request::Read("/48".to_owned())
            ]
        );
    }

    #[test]
    fn changes_of_others_are_marked() {
        let mut model = browser(false);
        model.event(Event::Key(Key::Down));
        model.reply(read("/a", "one", 0));
        assert!(!model.shown.changed);
        model.reply(Reply::DataChanged("/a".to_owned()));
        model.reply(read("/a", "two", 1));
        assert!(model.shown.changed);
        model.reply(children("/", &["a", "b", "c"]));
        let c = model.tree.find("/c").unwrap();
        assert_eq!(model.tree.mark(c), Some(Mark::New));
        // What has been looked at is not new any more.
        model.event(Event::Key(Key::End));
        assert_eq!((model.tree.mark(c), &*model.shown.path), (None, "/c"));
    }

    #[test]
    fn a_failed_read_is_no_change() {
        let mut model = browser(false);
        let failed = || Reply::Read {
            path: "/".to_owned(),
            content: Err(Unread::Failed("lost".to_owned())),
        };
        model.reply(read("/", "one", 0));
        model.shown.changed = false;
        model.reply(failed());
        model.reply(read("/", "one", 0));
        assert!(!model.shown.changed);
        model.reply(failed());
        model.reply(read("/", "two", 1));
        assert!(model.shown.changed);
    }

    #[test]
    fn a_deleted_znode_leaves_its_neighbour() {
        let mut model = browser(false);
        model.event(Event::Key(Key::Down));
        model.reply(read("/a", "", 0));
        model.requests();
        model.reply(Reply::Deleted("/a".to_owned()));
        model.reply(Reply::Read {
            path: "/a".to_owned(),
            content: Err(Unread::Gone),
        });
        model.reply(children("/", &["b", "c"]));
        model.reply(children("/", &["b", "c"]));
        assert_eq!(model.shown.path, "/b");
        assert_eq!(said(&model), "/a was deleted");
        assert!(
            model
                .requests()
                .contains(&Request::Unwatch("/a".to_owned()))
        );
    }

    #[test]
    fn a_deep_path_is_revealed_by_levels() {
        let mut model = browser(false);
        model.reveal("/a/x/y");
        assert!(
            model
                .requests()
                .contains(&Request::Children("/a".to_owned()))
        );
        model.reply(children("/a", &["x"]));
        assert!(
            model
                .requests()
                .contains(&Request::Children("/a/x".to_owned()))
        );
        model.reply(children("/a/x", &["y", "z"]));
        assert_eq!(model.shown.path, "/a/x/y");
        model.reveal("/a/missing");
        model.reply(children("/a", &["x"]));
        assert_eq!(model.shown.path, "/a");
        assert_eq!(said(&model), "/a/missing does not exist");
    }

    #[test]
    fn a_new_session_is_said() {
        let mut model = browser(false);
        let connected = |id| Reply::State {
            state: State::Connected {
                session: SessionId(id),
                epoch: 1,
            },
            server: Some("zk1:2181".to_owned()),
        };
        let state = |state| Reply::State {
            state,
            server: None,
        };
        model.reply(connected(1));
        assert_eq!(said(&model), "");
        model.reply(state(State::Suspended {
            until: Instant::now(),
        }));
        model.reply(connected(1));
        assert_eq!(said(&model), "connected again, with the same session");
        model.reply(state(State::Expired { epoch: 1 }));
        model.reply(connected(2));
        assert!(
            said(&model).starts_with("new session: "),
            "{}",
            said(&model)
        );
    }

    #[test]
    fn a_conflict_keeps_both_and_asks() {
        let mut model = browser(true);
        model.event(Event::Key(Key::Down));
        model.reply(read("/a", "old", 3));
        model.requests();
        type_keys(&mut model, "e!\n");
        let mine = Bytes::from("old!");
        let set = |version| Request::Set {
            path: "/a".to_owned(),
            data: mine.clone(),
            version,
        };
        assert_eq!(model.requests(), [set(3)]);
        model.reply(Reply::Set {
            path: "/a".to_owned(),
            data: mine.clone(),
            done: Err(Refused::Version),
        });
        assert_eq!(model.requests(), [Request::Read("/a".to_owned())]);
        // Not before the other data are shown.
        type_keys(&mut model, "o");
        assert_eq!(model.requests(), []);
        model.reply(read("/a", "theirs", 4));
        type_keys(&mut model, "o");
        assert_eq!(model.requests(), [set(4)]);
    }
}
