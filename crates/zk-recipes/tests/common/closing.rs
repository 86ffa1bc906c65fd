//! A server that ends the session on operations that it lacks.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zk_client::{Dial, DialError, Dialing, HostPort, Transport};
use zk_embedded::Server;
use zk_proto::OpCode;

/// A dial to a server that ends the session on an operation that it lacks, as ClickHouse Keeper does,
/// but with the handshake of Apache ZooKeeper.
#[derive(Debug)]
pub(crate) struct Closing(pub(crate) Arc<Server>);

const UNKNOWN: [OpCode; 5] = [
    OpCode::Create2,
    OpCode::CreateContainer,
    OpCode::RemoveWatches,
    OpCode::AddWatch,
    OpCode::SetWatches2,
];

impl Dial for Closing {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        let upstream = self.0.connect_in_memory().map_err(DialError::Other);
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(1 << 16);
            tokio::spawn(relay(far, upstream?));
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

async fn relay(client: DuplexStream, server: DuplexStream) {
    let (mut requests, mut replies) = tokio::io::split(client);
    let (mut answers, mut asked) = tokio::io::split(server);
    let down = tokio::spawn(async move { tokio::io::copy(&mut answers, &mut replies).await });
    let mut greeted = false;
    // Until the client disconnects.
    while let Ok(length) = requests.read_u32().await {
        let mut body = vec![0; length as usize];
        requests.read_exact(&mut body).await.unwrap();
        let op = body
            .get(4..8)
            .map(|op| i32::from_be_bytes(op.try_into().unwrap()));
        let op = op.filter(|_| greeted).and_then(OpCode::from_i32);
        greeted = true;
        let ends = op.is_some_and(|op| UNKNOWN.contains(&op));
        if ends {
            // The client does not expect the answer to the substitute.
            down.abort();
            body.truncate(4);
            body.extend_from_slice(&OpCode::CloseSession.code().to_be_bytes());
        }
        let length = u32::try_from(body.len()).unwrap();
        let frame = [&length.to_be_bytes()[..], &body].concat();
        if asked.write_all(&frame).await.is_err() || ends {
            break;
        }
    }
    // Ends when the server has closed the connection.
    down.await.ok();
}
