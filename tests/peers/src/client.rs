//! What a client must be able to do to be measured.

use std::error::Error;
use std::future::Future;

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The znode that is got and set; that of the events is the server's to choose.
pub const PATH: &str = "/a";

/// A connected session, or a handle to it.
pub trait Client: Clone + Send + Sync + 'static {
    /// A session with a lasting watch on the znode that floods.
    type Flood: Send + 'static;

    fn connect(address: &str) -> impl Future<Output = Outcome<Self>> + Send;

    /// The length of the data that were got.
    fn get(&self) -> impl Future<Output = Outcome<usize>> + Send;

    /// Puts so many gets on the wire, and then awaits them.
    fn get_together(&self, gets: usize) -> impl Future<Output = Outcome<()>> + Send;

    fn set(&self, data: &'static [u8]) -> impl Future<Output = Outcome<()>> + Send;

    fn create(&self, data: &'static [u8]) -> impl Future<Output = Outcome<()>> + Send;

    fn flood(address: &str) -> impl Future<Output = Outcome<Self::Flood>> + Send;

    /// Asks for so many events and reads them.
    fn events(flood: &mut Self::Flood, events: usize) -> impl Future<Output = Outcome<()>> + Send;

    /// Ends the session, if this is the last handle to it.
    fn close(self) -> impl Future<Output = Outcome<()>> + Send;
}

/// A client with locks.
pub trait Locks: Client {
    type Guard: Send;

    fn lock(&self, path: &str) -> impl Future<Output = Outcome<Self::Guard>> + Send;

    fn release(guard: Self::Guard) -> impl Future<Output = Outcome<()>> + Send;
}
