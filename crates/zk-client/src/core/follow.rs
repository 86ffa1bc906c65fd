//! Following the ensemble's configuration.
//!
//! The core watches it as any other owner of a watch would, so that nobody else's watch there ends
//! this one; after a reconnect it is armed again with the others, and in a new session it is read
//! again.

use std::collections::HashSet;
use std::time::Instant;

use bytes::Bytes;
use std::task::Waker;
use zk_proto::records::GetDataResponse;
use zk_proto::{Encode, ErrorCode, OpCode, decode_frame};

use super::{Core, Token};
use crate::ensemble::{CONFIG, parse, read_config};
use crate::slots::WatchIntent;
use crate::watch::{SubId, WatchKind};

/// What is known of the ensemble's configuration.
#[derive(Debug, Default)]
pub(super) struct Follow {
    wanted: bool,
    /// Whether the list of servers is from a configuration.
    applied: bool,
    /// The read under way.
    reading: Option<WatchIntent>,
    watch: Option<SubId>,
    /// The server of this connection does not let it be watched.
    given_up: bool,
    /// What went wrong, to be told to people.
    notice: Option<String>,
}

impl Core {
    /// From the first connection on, the list of servers is what the configuration says.
    pub(crate) fn preset_follow(&mut self) {
        self.follow.wanted = true;
    }

    /// What went wrong since this was last asked, for people.
    pub(crate) fn take_notice(&mut self) -> Option<String> {
        self.follow.notice.take()
    }

    /// Reads the configuration if it is not watched, because this is a new session, or because the
    /// watch has fired.
    pub(super) fn check_follow(&mut self, now: Instant) {
        if !self.follow.wanted {
            return;
        }
        if let Some(watch) = self.follow.watch
            && self.poll_event(watch, Waker::noop()).is_some()
        {
            self.follow.watch = None;
            self.unsubscribe(now, watch);
        }
        let idle = self.follow.reading.is_none() && !self.follow.given_up;
        if self.follow.watch.is_none() && idle && self.takes_requests() {
            self.begin_reading(now);
        }
    }

    fn begin_reading(&mut self, now: Instant) {
        let mut intent = WatchIntent {
            kind: WatchKind::Data,
            path: CONFIG.into(),
            changed: false,
        };
        intent.changed = self.registry.precaution(intent.kind, CONFIG).is_some();
        let Some(link) = &mut self.link else { return };
        self.registry.begin_arming(&intent);
        let record = read_config(!intent.changed);
        // As short as a request can be.
        let _ = link.submit(now, OpCode::GetData, Token::Config, usize::MAX, |out| {
            record.encode(out);
        });
        self.follow.reading = Some(intent);
    }

    /// The answer to the read.
    pub(super) fn handle_config(&mut self, now: Instant, result: &Result<Bytes, ErrorCode>) {
        let Some(intent) = self.follow.reading.take() else {
            return;
        };
        self.follow.watch = self.settle_watch(now, intent, true, OpCode::GetData, result);
        if *result == Err(ErrorCode::ThrottledOp) {
            // It was not executed, and will be asked again.
            return;
        }
        let config = match result {
            Ok(body) => decode_frame::<GetDataResponse>(body, 0)
                .map_err(|e| e.to_string())
                .and_then(|response| parse(&response.data.unwrap_or_default())),
            Err(code) => Err(code.to_string()),
        };
        match config {
            Ok(config) => self.apply(now, config.connect_string().hosts),
            Err(problem) => {
                self.follow.notice = Some(format!(
                    "the ensemble's configuration cannot be followed: {problem}"
                ));
            }
        }
        // Without a watch there is nothing to wait for; the next connection tries again.
        self.follow.given_up = self.follow.watch.is_none();
    }

    /// The first configuration only replaces the list that was given: the names in the two need not
    /// be the same, so that it would make every client move. A server alone has none.
    fn apply(&mut self, now: Instant, hosts: Vec<zk_proto::HostPort>) {
        let known: HashSet<_> = self.hosts.iter().collect();
        let same = known == hosts.iter().collect();
        if hosts.is_empty() {
            return;
        }
        let first = !std::mem::replace(&mut self.follow.applied, true);
        if same {
            return;
        }
        let applied = if first {
            self.hosts.replace(hosts)
        } else {
            self.update_hosts(now, hosts)
        };
        // They are not empty.
        debug_assert!(applied.is_ok());
    }

    /// The connection is lost, and the read with it.
    pub(super) fn stop_reading(&mut self) {
        self.follow.given_up = false;
        if let Some(intent) = self.follow.reading.take() {
            self.registry.end_arming(&intent);
        }
    }
}
