//! Following the ensemble's configuration.
//!
//! The core watches the configuration as a caller would, with a subscription of its own, so that the
//! removal of another watch there does not end this one. After a reconnect the watch is armed again with
//! the others, and in a new session the configuration is read again.

use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;
use zk_proto::config::EnsembleConfig;
use zk_proto::records::GetDataResponse;
use zk_proto::{Encode, ErrorCode, OpCode, decode_frame};
use zk_transport::ping_interval;

use crate::session::Core;
use crate::session::connection::ReplyTarget;
use crate::session::servers::config_znode::{CONFIG, parse, read_config};
use crate::session::watches::{WatchIntent, WatchKind};

impl Core {
    /// Makes the client take its list of servers from the ensemble's configuration, from the first
    /// connection on. `secure` if the client connects with TLS.
    pub(crate) fn preset_follow(&mut self, secure: bool) {
        self.config.enable(secure);
    }

    /// What went wrong since this was last called, for the log.
    pub(crate) fn take_config_notice(&mut self) -> Option<String> {
        self.config.take_notice()
    }

    /// Reads the configuration if it is not watched, because this is a new session, or because the
    /// watch has fired.
    #[inline]
    pub(in crate::session) fn check_config(&mut self, now: Instant) {
        if self.config.is_enabled() {
            self.check_config_watch(now);
        }
    }

    fn check_config_watch(&mut self, now: Instant) {
        if let Some(watch) = self.config.watch
            && self.poll_event(watch, Waker::noop()).is_some()
        {
            self.config.watch = None;
            self.unsubscribe(now, watch);
        }
        if self.config.wants_read(now) && self.takes_requests() {
            self.read_config(now);
        }
    }

    fn read_config(&mut self, now: Instant) {
        let mut intent = WatchIntent {
            kind: WatchKind::Data,
            path: CONFIG.into(),
            overridden: false,
        };
        intent.overridden = self.registry.mode_override(intent.kind, CONFIG).is_some();
        let Some(link) = &mut self.connection.link else {
            return;
        };
        self.registry.begin_arming(&intent);
        let record = read_config(!intent.overridden);
        // No request can be shorter, so no limit applies.
        let _ = link.submit(
            now,
            OpCode::GetData,
            ReplyTarget::Config,
            usize::MAX,
            |out| record.encode(out),
        );
        self.config.begin_reading(intent);
    }

    /// The answer to the read.
    pub(in crate::session) fn handle_config(
        &mut self,
        now: Instant,
        result: &Result<Bytes, ErrorCode>,
    ) {
        let Some(intent) = self.config.end_reading() else {
            return;
        };
        self.config.watch = self.settle_watch(now, intent, true, OpCode::GetData, result);
        if let Err(code) = result
            && (!code.is_refusal() || *code == ErrorCode::ThrottledOp)
        {
            // The server may be able to answer later.
            let pause = ping_interval(self.session.timeout());
            self.config.put_off(now, pause, *code);
            return;
        }
        let config = match result {
            Ok(body) => decode_frame::<GetDataResponse>(body, 0)
                .map(|response| parse(&response.data.unwrap_or_default()))
                .map_err(|e| e.to_string()),
            Err(code) => Err(code.to_string()),
        };
        match config {
            Ok(config) => self.apply_config(now, &config),
            Err(problem) => self.config.note_problem(&problem),
        }
        self.config.handle_answered();
    }

    fn apply_config(&mut self, now: Instant, config: &EnsembleConfig) {
        let hosts = &mut self.relocation.hosts;
        let Some((plan, stays)) = self.config.apply(config, hosts) else {
            return;
        };
        let adopted = if stays {
            hosts.replace(plan.hosts).map(|()| false)
        } else {
            hosts.update(plan.hosts)
        };
        // The plan has no servers if none were given and the configuration names none.
        if let Ok(moves) = adopted {
            hosts.set_fallback(plan.fallback);
            self.adopted(now, moves);
        }
    }
}
