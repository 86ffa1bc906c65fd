//! When the browser ends at the request of its user.

use super::document::one_line;
use super::model::{Mode, Model, Write};
use super::request::Request;

impl Model {
    /// Quits, after the changes that are under way, and with no data that are not written; at once when it is
    /// repeated.
    pub(super) fn quit(&mut self) {
        if self.quits {
            self.request(Request::Quit);
            return;
        }
        self.quits = true;
        match (self.unwritten_data(), self.changing > 0) {
            (None, false) => self.request(Request::Quit),
            (None, true) => self.say(
                "a change is under way, and the browser quits after it; q again: now, whether it \
                 takes effect or not",
            ),
            (Some(data), false) => {
                self.say(format!("{data}: e edits them, q again quits without them"))
            }
            (Some(data), true) => self.say(format!(
                "{data}: e edits them, q again quits without them, and a change is under way"
            )),
        }
    }

    /// After another key than `q`, the browser quits only if it waits for a change and for nothing else.
    pub(super) fn other_key(&mut self) {
        self.quits &= self.changing > 0 && self.unwritten_data().is_none();
    }

    /// A change is over, and its data are in `unwritten` only if they are not written.
    pub(super) fn changed(&mut self, succeeded: bool) {
        self.changing = self.changing.saturating_sub(1);
        // Otherwise a line that is being typed would be lost.
        let is_idle = matches!(self.mode, Mode::Browse | Mode::Help | Mode::Find(_));
        self.quits &= succeeded && is_idle;
        if !self.quits || self.changing > 0 {
            return;
        }
        match self.unwritten_data() {
            None => self.request(Request::Quit),
            Some(data) => {
                self.quits = false;
                self.say(format!(
                    "{data}, and the browser does not quit: e edits them"
                ));
            }
        }
    }

    /// Names the data that are not written, without those whose write is under way.
    fn unwritten_data(&self) -> Option<String> {
        let mut unwritten = self
            .unwritten
            .iter()
            .filter(|(_, kept)| kept.write != Write::Requested);
        let (path, first) = unwritten.next()?;
        let (mut more, mut unknown) = (0, first.write == Write::Unknown);
        for (_, kept) in unwritten {
            more += 1;
            unknown |= kept.write == Write::Unknown;
        }
        let path = one_line(path);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let are = if unknown {
            "may not be written"
        } else {
            "are not written"
        };
        Some(format!("your data of {path}{more} {are}"))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::changes::tests::{said, writing, written};
    use super::super::model::Unwritten;
    use super::super::replies::tests::{browser, read, type_keys};
    use super::super::request::{Refused, Reply};
    use super::*;
    use crate::screen::{Event, Key};

    #[test]
    fn it_quits_after_the_change_under_way() {
        let mut model = writing();
        type_keys(&mut model, "q");
        assert_eq!(model.requests(), []);
        assert!(said(&model).contains("under way"), "{}", said(&model));
        model.reply(written(Ok(())));
        assert!(model.requests().contains(&Request::Quit));
        // Not if it has failed, and at once when it is repeated.
        let mut model = writing();
        type_keys(&mut model, "q");
        model.reply(written(Err(Refused::Failed("no".to_owned()))));
        assert!(!model.requests().contains(&Request::Quit));
        let mut model = writing();
        type_keys(&mut model, "qq");
        assert_eq!(model.requests(), [Request::Quit]);
    }

    /// Data of another znode that are not written.
    fn other() -> Unwritten {
        Unwritten {
            data: Bytes::from("other"),
            version: 0,
            write: Write::None,
        }
    }

    fn quits(model: &mut Model) -> bool {
        model.requests().contains(&Request::Quit)
    }

    #[test]
    fn no_write_quits_over_another_text() {
        let mut model = writing();
        model.reply(written(Err(Refused::Failed("no".to_owned()))));
        model.unwritten.insert("/b".to_owned(), other());
        type_keys(&mut model, "q");
        assert!(said(&model).starts_with("your data of /a and 1 more are not written: "));
        type_keys(&mut model, "e\n");
        model.reply(written(Ok(())));
        assert!(!quits(&mut model));
        type_keys(&mut model, "q");
        assert!(said(&model).starts_with("your data of /b are not written: "));
        type_keys(&mut model, "q");
        assert!(quits(&mut model));
    }

    #[test]
    fn a_wait_for_a_change_loses_no_text() {
        for keys in ["q", "qv"] {
            let mut model = writing();
            model.unwritten.insert("/b".to_owned(), other());
            type_keys(&mut model, keys);
            assert!(!quits(&mut model));
            model.reply(written(Ok(())));
            assert!(!quits(&mut model), "{keys}");
            assert!(!model.quits, "{keys}");
        }
        // The text of a change that has failed meanwhile, too.
        let mut model = writing();
        type_keys(&mut model, "q");
        model.unwritten.insert("/b".to_owned(), other());
        model.reply(written(Ok(())));
        assert!(!quits(&mut model));
        assert_eq!(
            said(&model),
            "your data of /b are not written, and the browser does not quit: e edits them"
        );
    }

    #[test]
    fn other_keys_end_the_wish_to_quit() {
        let mut model = writing();
        model.reply(written(Err(Refused::Unknown("lost".to_owned()))));
        type_keys(&mut model, "q");
        assert!(said(&model).starts_with("your data of /a may not be written: "));
        type_keys(&mut model, "ve\n");
        model.reply(written(Ok(())));
        assert!(!quits(&mut model));
        // It waits for a change while keys look at other data, but not while a line is typed.
        for (keys, wanted) in [("qv\tj", true), ("qc", false), ("qcnew\n", false)] {
            let mut model = writing();
            type_keys(&mut model, keys);
            model.reply(written(Ok(())));
            assert_eq!(quits(&mut model), wanted, "{keys:?}");
        }
    }

    #[test]
    fn a_creation_that_succeeds_names_the_text() {
        let mut model = browser(true);
        model.event(Event::Key(Key::Down));
        model.reply(read("/a", "old", 4));
        type_keys(&mut model, "cnew\n\nq");
        model.unwritten.insert("/b".to_owned(), other());
        model.reply(Reply::Created {
            path: "/a/new".to_owned(),
            done: Ok(()),
        });
        assert!(said(&model).contains("does not quit"), "{}", said(&model));
        assert!(!quits(&mut model));
    }
}
