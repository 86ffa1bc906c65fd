//! `zkctl serve`: the embedded server on a port.

use std::net::SocketAddr;
use std::process::ExitCode;

use zk_embedded::Server;

use crate::args::Serve;
use crate::failure::Failure;
use crate::output::Output;
use crate::signals::Signals;
use crate::warnings;

/// Serves until a signal comes.
pub(crate) async fn run(
    serve: &Serve,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<ExitCode, Failure> {
    warnings::show();
    let address = SocketAddr::new(serve.host, serve.port);
    let server = Server::builder()
        .listen([address])
        .pose(serve.pose)
        .start()
        .await
        .map_err(|error| Failure::io(&format!("listen on {address}"), error))?;
    if output.is_json() {
        let line = serde_json::json!({ "type": "serving", "connect": server.connect_string() });
        output.json(&line).await?;
    } else {
        output.line(server.connect_string()).await?;
    }
    // Clients that know the address need no reader.
    Failure::unless_reader_gone(output.flush().await)?;
    let signal = signals.next().await;
    server.stop().await;
    Err(Failure::Signalled(signal))
}
