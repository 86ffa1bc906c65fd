//! The AdminServer, an HTTP server that Apache's servers since 3.5 start on port 8080 unless they are configured
//! otherwise. Its `monitor` has the values of `mntr`, which servers do not allow by default.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_client::HostPort;

use super::metrics::Metrics;

/// The most bytes of an answer that are read: one of Apache 3.9's has 25 KB.
const MAX_ANSWER: u64 = 4 << 20;

/// Asks the AdminServer of a server, at this address of it if it is given.
///
/// # Errors
/// Why there are no values, as text.
pub(crate) async fn monitor(
    server: &HostPort,
    address: Option<SocketAddr>,
    port: u16,
    limit: Duration,
) -> Result<Metrics, String> {
    let reason = match tokio::time::timeout(limit, get(server, address, port)).await {
        Ok(Ok(answer)) => match read(&answer) {
            Ok(metrics) => return Ok(metrics),
            Err(reason) => reason.to_owned(),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => format!("no answer within {} ms", limit.as_millis()),
    };
    Err(format!("its AdminServer on port {port}: {reason}"))
}

async fn get(server: &HostPort, address: Option<SocketAddr>, port: u16) -> io::Result<Vec<u8>> {
    let mut stream = match address {
        Some(address) => TcpStream::connect((address.ip(), port)).await?,
        None => TcpStream::connect((&*server.host, port)).await?,
    };
    let host = HostPort {
        host: server.host.clone(),
        port,
    };
    // HTTP/1.0, so that the answer ends with the connection and has no chunks.
    let request = format!(
        "GET /commands/monitor HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn read(answer: &[u8]) -> Result<Metrics, &'static str> {
    const OTHER: &str = "the answer is not one of an AdminServer";
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(OTHER)?;
    let status = head.split_whitespace().nth(1).ok_or(OTHER)?;
    match status {
        "200" => {}
        "401" | "403" => return Err("it refuses clients without credentials"),
        "301" | "302" | "307" | "308" => return Err("it redirects, perhaps to HTTPS"),
        "404" => return Err("it has no /commands/monitor"),
        _ => return Err(OTHER),
    }
    let body: Value = serde_json::from_str(body).map_err(|_| OTHER)?;
    Metrics::of_monitor(&body).ok_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_after_its_head() {
        let body = r#"{"server_state":"leader","command":"monitor","error":null}"#;
        let answer =
            |status: &str, body: &str| format!("HTTP/1.1 {status}\r\nServer: x\r\n\r\n{body}");
        let metrics = read(answer("200 OK", body).as_bytes()).unwrap();
        assert_eq!(metrics.get("zk_server_state"), Some("leader"));
        for (answer, word) in [
            (answer("200 OK", "<html>"), "not one of an AdminServer"),
            (answer("200 OK", "{}"), "not one of an AdminServer"),
            (answer("403 Forbidden", body), "credentials"),
            (answer("404 Not Found", body), "/commands/monitor"),
            (answer("302 Found", body), "HTTPS"),
            (String::new(), "not one of an AdminServer"),
            ("SSH-2.0-x\r\n".to_owned(), "not one of an AdminServer"),
        ] {
            let reason = read(answer.as_bytes()).unwrap_err();
            assert!(reason.contains(word), "{answer:?}: {reason}");
        }
    }
}
