//! `zkctl serve`: the embedded server on a port.

mod settings;
#[cfg(feature = "tls")]
mod tls;
mod warnings;
mod zoo_cfg;

use std::process::ExitCode;

use zk_embedded::Server;

use crate::cli::serve::Serve;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::signals::Signals;
use settings::Settings;

/// Serves until a signal arrives.
pub(crate) async fn run(
    serve: &Serve,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<ExitCode, Failure> {
    warnings::show();
    let settings = Settings::new(serve)?;
    let addresses: Vec<_> = settings.listen.iter().map(ToString::to_string).collect();
    #[cfg(feature = "tls")]
    let tls = tls::Tls::new(serve, &settings.listen)?;
    let builder = Server::builder()
        .options(settings.options)
        .listen(settings.listen);
    #[cfg(feature = "tls")]
    let builder = match &tls {
        Some(tls) => builder.tls(&tls.certificates),
        None => builder,
    };
    let server = builder
        .start()
        .await
        .map_err(|error| Failure::io(&format!("listen on {}", addresses.join(",")), error))?;
    server.faults().delay_replies(settings.delay);
    let connect = server.connect_string();
    #[cfg(feature = "tls")]
    let connect = match &tls {
        Some(tls) => tls.url(&connect),
        None => connect,
    };
    if output.is_json() {
        let line = serde_json::json!({ "type": "serving", "connect": connect });
        output.json(&line).await?;
    } else {
        output.line(connect).await?;
    }
    // Clients may know the address without reading it here.
    Failure::unless_reader_gone(output.flush().await)?;
    let signal = signals.next().await;
    server.stop().await;
    Err(Failure::Signalled(signal))
}
