//! Gets a znode over each connection, pings, and connects again when the server restarts, without zk-client.
//!
//! ```console
//! $ zkctl serve &
//! $ zkctl create /example 'the data of the znode'
//! $ cargo run -p zk-transport --example raw_get -- localhost:2181 /example
//! the data of the znode
//! ```
//!
//! The program prints the data once more for each further connection. It runs until Ctrl-C; its session ends
//! 4 s later, since a raw connection has to close its session itself.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::time::Instant;

use zk_proto::records::{ConnectRequest, GetDataRequest, GetDataResponse};
use zk_proto::{Encode, HostPort, OpCode, SessionId, SessionPassword, WirePath, decode_frame};
use zk_transport::reconnect::{LinkEndpoint, LinkHandler, ReconnectOptions, stay_connected};
use zk_transport::{BackoffPolicy, Dial, Disconnect, Hosts, Link, Received, TcpDial};

struct RawGet<F> {
    path: String,
    session: (SessionId, SessionPassword),
    report: F,
}

impl<F: FnMut(&[u8])> LinkHandler for RawGet<F> {
    type Token = ();

    fn connect_request(&mut self) -> ConnectRequest {
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Default::default(),
            timeout_ms: 4_000,
            session_id: self.session.0,
            password: self.session.1.clone(),
            read_only: Some(false),
        }
    }

    fn handle_received(
        &mut self,
        now: Instant,
        link: &mut Link<()>,
        received: Received<()>,
    ) -> Result<(), Disconnect> {
        match received {
            Received::Connected(session) if session.timeout_ms <= 0 => {
                self.session = Default::default();
                return Err(Disconnect::SessionExpired);
            }
            Received::Connected(session) => {
                self.session = (session.session_id, session.password);
                let (path, watch) = (WirePath::new("", &self.path), false);
                let get = GetDataRequest { path, watch };
                let _ = link.submit(now, OpCode::GetData, (), 1 << 20, |out| get.encode(out));
            }
            Received::Reply { result: Ok(it), .. } => {
                let reply: GetDataResponse = decode_frame(&it, 0)?;
                (self.report)(&reply.data.unwrap_or_default());
            }
            other => eprintln!("{other:?}"),
        }
        Ok(())
    }
}

/// Calls `report` with the data that each connection gets.
pub async fn raw_get(dial: impl Dial, host: HostPort, path: String, report: impl FnMut(&[u8])) {
    let hosts = Hosts::new(vec![host], BackoffPolicy::default(), 1);
    let handler = RawGet {
        path,
        session: Default::default(),
        report,
    };
    let mut endpoint = LinkEndpoint::new(hosts, handler);
    stay_connected(&mut endpoint, &ReconnectOptions::new(dial)).await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let host = args.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let host = host.as_deref().unwrap_or("localhost:2181").parse()?;
    let path = args.next().unwrap_or("/zookeeper".to_owned());
    let report = |data: &[u8]| println!("{}", data.escape_ascii());
    raw_get(TcpDial::default(), host, path, report).await;
    Ok(())
}
