//! The browser without its terminal and its session: events and replies go in, requests come out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use ratatui::layout::Rect;
use zk_client::{SessionId, Stat, State};

use super::document::{Document, Format, one_line};
use super::layout::Areas;
use super::line::Line;
use super::request::{Content, Request, Unread};
use super::tree::{Id, Pattern, Tree};

/// The part that the arrow keys move in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    Tree,
    Details,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Data,
    Stat,
    Acl,
}

impl Tab {
    pub(super) const ALL: [Tab; 3] = [Tab::Data, Tab::Stat, Tab::Acl];

    pub(super) fn name(self) -> &'static str {
        match self {
            Tab::Data => "data",
            Tab::Stat => "stat",
            Tab::Acl => "ACL",
        }
    }

    pub(super) fn next(self) -> Self {
        match self {
            Tab::Data => Tab::Stat,
            Tab::Stat => Tab::Acl,
            Tab::Acl => Tab::Data,
        }
    }
}

/// The znode whose details are shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) path: String,
    /// `None` until it has been read.
    pub(super) content: Option<Result<Content, Unread>>,
    pub(super) document: Option<Document>,
    /// The data that were last read: a read that fails is no change.
    pub(super) last: Option<Bytes>,
    /// Whether another client changed the data while they were shown.
    pub(super) changed: bool,
    /// Why there are no live changes, if there are none.
    pub(super) not_watched: Option<String>,
    /// The first visible row.
    pub(super) top: usize,
    pub(super) reading: bool,
    pub(super) stale: bool,
    pub(super) watched: bool,
}

impl Shown {
    fn new(path: String) -> Self {
        Shown {
            path,
            content: None,
            document: None,
            last: None,
            changed: false,
            not_watched: None,
            top: 0,
            reading: false,
            stale: true,
            watched: false,
        }
    }

    pub(super) fn stat(&self) -> Option<&Stat> {
        match &self.content {
            Some(Ok(content)) => content.stat.as_ref(),
            _ => None,
        }
    }

    pub(super) fn data(&self) -> Option<&Bytes> {
        match &self.content {
            Some(Ok(content)) => content.data.as_ref().ok(),
            _ => None,
        }
    }
}

/// What the keys go to, other than the browser.
#[derive(Debug)]
pub(super) enum Mode {
    Browse,
    Help,
    Prompt(Prompt),
    /// Whether to delete a znode.
    Delete {
        path: String,
        version: i32,
        /// How many are below it; `None` until they are counted.
        below: Option<Result<u64, String>>,
    },
    /// Another client has changed what was edited.
    Conflict {
        path: String,
        mine: Bytes,
        /// What the znode has now.
        theirs: Option<(Bytes, Stat)>,
    },
    Find(Find),
}

/// A line that is being typed.
#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) purpose: Purpose,
    pub(super) line: Line,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Where the search began.
    Search(Id),
    Filter,
    /// Below this znode.
    Find(String),
    /// Below this znode.
    CreateName(String),
    CreateData(String),
    Data {
        path: String,
        version: i32,
    },
}

impl Purpose {
    pub(super) fn text(&self) -> String {
        match self {
            Purpose::Search(_) => "search: ".to_owned(),
            Purpose::Filter => "show only names with: ".to_owned(),
            Purpose::Find(path) => format!("find names below {}: ", one_line(path)),
            Purpose::CreateName(path) => format!("create below {}, name: ", one_line(path)),
            Purpose::CreateData(path) => format!("data of {}: ", one_line(path)),
            Purpose::Data { path, .. } => format!("new data of {}: ", one_line(path)),
        }
    }
}

/// A search by name that reads what is below a znode.
#[derive(Debug)]
pub(super) struct Find {
    pub(super) number: u64,
    pub(super) below: String,
    pub(super) word: String,
    pub(super) found: Vec<String>,
    pub(super) visited: usize,
    /// How it ended.
    pub(super) ended: Option<Result<(), String>>,
    pub(super) selected: usize,
}

/// The last line of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// The session, as the header shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) state: State,
    pub(super) server: Option<String>,
    pub(super) last: Option<SessionId>,
}

/// What an edit began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Editing {
    pub(super) version: i32,
    /// What the znode has in this version.
    pub(super) present: Bytes,
}

/// Data that were edited and are not known to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unwritten {
    pub(super) data: Bytes,
    /// The version that the edit is based on.
    pub(super) version: i32,
    pub(super) write: Write,
}

/// What is known of the write of such data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// None was requested, or it was refused.
    None,
    /// There is no reply yet.
    Requested,
    /// It failed, and may have taken effect.
    Unknown,
}

/// The state of the browser.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) tree: Tree,
    pub(super) selected: Id,
    /// The first visible row of the tree.
    pub(super) top: usize,
    pub(super) focus: Focus,
    pub(super) tab: Tab,
    pub(super) format: Format,
    pub(super) shown: Shown,
    pub(super) mode: Mode,
    pub(super) message: Option<Message>,
    pub(super) session: Session,
    /// Whether znodes may be changed.
    pub(super) writable: bool,
    /// Where the browser is connected to.
    pub(super) servers: String,
    pub(super) now: (Instant, SystemTime),
    pub(super) areas: Areas,
    pub(super) screen: Rect,
    /// The lists of children that are being read, and whether they have changed meanwhile.
    pub(super) reading: BTreeMap<String, bool>,
    pub(super) watched: BTreeSet<String>,
    /// A znode to select once everything above it is read.
    pub(super) revealing: Option<String>,
    pub(super) search: Option<Pattern>,
    pub(super) finds: u64,
    pub(super) requests: Vec<Request>,
    /// Whether a variable names an editor.
    pub(super) has_editor: bool,
    /// The znode whose data the editor has.
    pub(super) editing: Option<Editing>,
    /// Data that were edited and are not written, by znode: the next edit of the znode begins with them, and is based
    /// on their version.
    pub(super) unwritten: BTreeMap<String, Unwritten>,
    /// Edits of data that other clients have changed: each is asked about when no other question is open.
    pub(super) conflicts: VecDeque<(String, Bytes)>,
    /// How many changes of znodes are under way.
    pub(super) changing: usize,
    /// Whether the last key was `q`, or the browser quits once they have succeeded.
    pub(super) quits: bool,
    /// The data that this browser wrote last: not a change of another client.
    pub(super) written: Option<Bytes>,
}

impl Model {
    pub(super) fn new(
        servers: String,
        writable: bool,
        has_editor: bool,
        now: (Instant, SystemTime),
    ) -> Self {
        let mut model = Model {
            tree: Tree::new(),
            selected: Tree::ROOT,
            top: 0,
            focus: Focus::Tree,
            tab: Tab::Data,
            format: Format::Auto,
            shown: Shown::new("/".to_owned()),
            mode: Mode::Browse,
            message: None,
            session: Session {
                state: State::Connecting,
                server: None,
                last: None,
            },
            writable,
            servers,
            now,
            areas: Areas::default(),
            screen: Rect::default(),
            reading: BTreeMap::new(),
            watched: BTreeSet::new(),
            revealing: None,
            search: None,
            finds: 0,
            requests: Vec::new(),
            has_editor,
            editing: None,
            unwritten: BTreeMap::new(),
            conflicts: VecDeque::new(),
            changing: 0,
            quits: false,
            written: None,
        };
        model.expand(Tree::ROOT);
        model.read_shown();
        model
    }

    /// What to do, in this order.
    pub(super) fn requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    pub(super) fn request(&mut self, request: Request) {
        if let Request::Set { .. } | Request::Create { .. } | Request::Delete { .. } = request {
            self.changing += 1;
        }
        self.requests.push(request);
    }

    pub(super) fn areas(&self) -> Areas {
        self.areas
    }

    /// The size of the screen that the next frame is drawn to.
    pub(super) fn fit(&mut self, screen: Rect) {
        if screen != self.screen {
            self.screen = screen;
            self.areas = Areas::of(screen);
            self.scroll_to_selected();
        }
        let width = usize::from(self.areas.detail_rows().width);
        if let Some(document) = &mut self.shown.document {
            document.fit(width);
        }
    }

    pub(super) fn page(&self) -> isize {
        let rows = match self.focus {
            Focus::Tree => self.areas.tree_rows(),
            Focus::Details => self.areas.detail_rows(),
        };
        isize::try_from(rows.height).unwrap_or(1).max(1)
    }

    pub(super) fn select(&mut self, id: Id) {
        self.selected = id;
        self.tree.set_mark(id, None);
        self.scroll_to_selected();
        let path = self.tree.path(id);
        if path != self.shown.path {
            let before = std::mem::replace(&mut self.shown, Shown::new(path));
            // Only one read is under way, so that a held arrow key does not flood the server.
            self.shown.reading = before.reading;
            if before.watched {
                self.unwatch(&before.path);
            }
            self.read_shown();
        }
    }

    pub(super) fn select_row(&mut self, row: usize) {
        let rows = self.tree.rows();
        let row = row.min(rows.len().saturating_sub(1));
        if let Some(&id) = rows.get(row) {
            self.select(id);
        }
    }

    pub(super) fn move_selected(&mut self, rows: isize) {
        let row = self.tree.row_of(self.selected);
        self.select_row(row.saturating_add_signed(rows));
    }

    pub(super) fn scroll_to_selected(&mut self) {
        let row = self.tree.row_of(self.selected);
        let height = usize::from(self.areas.tree_rows().height).max(1);
        self.top = self.top.clamp((row + 1).saturating_sub(height), row);
    }

    /// After the rows have changed: the selected znode, or the next visible one above it, stays selected.
    pub(super) fn keep_selected(&mut self, row: usize) {
        let before = row - self.top.min(row);
        let row = self.tree.row_of(self.selected);
        // The tree stands still on the screen while znodes come and go above.
        self.top = row.saturating_sub(before);
        self.select_row(row);
    }

    pub(super) fn read_shown(&mut self) {
        if !self.shown.reading {
            self.shown.reading = true;
            self.shown.stale = false;
            self.request(Request::Read(self.shown.path.clone()));
        } else {
            self.shown.stale = true;
        }
    }

    pub(super) fn read_children(&mut self, path: &str) {
        if let Some(stale) = self.reading.get_mut(path) {
            *stale = true;
            return;
        }
        self.reading.insert(path.to_owned(), false);
        self.request(Request::Children(path.to_owned()));
    }

    pub(super) fn watch(&mut self, path: &str) {
        if self.watched.insert(path.to_owned()) {
            self.request(Request::Watch(path.to_owned()));
        }
    }

    /// Ends a watch that nothing on the screen needs.
    pub(super) fn unwatch(&mut self, path: &str) {
        let expanded = self
            .tree
            .find(path)
            .is_ok_and(|id| self.tree.is_expanded(id));
        let shown = self.shown.path == path && self.shown.watched;
        if !expanded && !shown && self.watched.remove(path) {
            self.request(Request::Unwatch(path.to_owned()));
        }
    }

    pub(super) fn expand(&mut self, id: Id) {
        let path = self.tree.path(id);
        self.tree.set_expanded(id, true);
        self.watch(&path);
        self.read_children(&path);
    }

    pub(super) fn collapse(&mut self, id: Id) {
        let row = self.tree.row_of(self.selected);
        let path = self.tree.path(id);
        self.tree.set_expanded(id, false);
        self.unwatch(&path);
        self.keep_selected(row);
    }

    /// Reads everything on the screen again.
    pub(super) fn refresh(&mut self) {
        for path in self.tree.expanded() {
            self.read_children(&path);
        }
        self.read_shown();
    }

    /// Selects a znode, once everything above it is read.
    pub(super) fn reveal(&mut self, path: &str) {
        match self.tree.find(path) {
            Ok(id) => {
                self.revealing = None;
                let above = self.ancestors(id);
                self.tree.reveal(id);
                for id in above {
                    let path = self.tree.path(id);
                    if !self.watched.contains(&path) {
                        self.expand(id);
                    }
                }
                let row = self.tree.row_of(id);
                let height = usize::from(self.areas.tree_rows().height);
                if !(self.top..self.top + height).contains(&row) {
                    self.top = row.saturating_sub(height / 2);
                }
                self.select(id);
            }
            Err(above) => {
                self.revealing = Some(path.to_owned());
                if self.tree.count(above).is_some() {
                    // It was read, and had no such child; that may be old.
                    self.tree.set_expanded(above, true);
                }
                self.expand(above);
            }
        }
    }

    pub(super) fn ancestors(&self, id: Id) -> Vec<Id> {
        let mut above = Vec::new();
        let mut at = id;
        while at != Tree::ROOT {
            at = self.tree.parent(at);
            above.push(at);
        }
        above
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.message = Some(Message {
            text: text.into(),
            is_error: false,
        });
    }

    pub(super) fn fail(&mut self, text: impl Into<String>) {
        self.message = Some(Message {
            text: text.into(),
            is_error: true,
        });
    }
}

/// Where the name of a tab is, in columns of the frame.
pub(super) fn tab_columns(tab: Tab) -> std::ops::Range<u16> {
    let mut begin = 1;
    for other in Tab::ALL {
        let end = begin + u16::try_from(other.name().len()).unwrap_or(0) + 2;
        if other == tab {
            return begin..end;
        }
        begin = end;
    }
    0..0
}
