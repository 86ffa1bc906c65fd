//! kazoo's counter.

use zk_client::Client;

use super::number::{Format, Number};
use super::number_cell::{NumberCell, cell_options, counter_methods};

/// A number that programs count with, in kazoo's format. The counterpart of kazoo's `Counter`.
///
/// A `Counter` is a counter of integers (`i64`), and [`Counter::float`] is one of floats.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::Counter;
///
/// let requests = Counter::new(&zk, "/counters/requests");
/// let sum = requests.add(3).await?;
/// println!("{sum}, and now {}", requests.get().await?);
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// The contents of the persistent znode at `path` are the number as text: that of Python's `repr`,
/// which is what kazoo writes. Empty contents are the initial value. With
/// [`support_curator`](Self::support_curator) the contents are the four bytes of Curator's
/// `SharedCount`.
///
/// While a handle that has written lives, the znode has a child `_c_<uuid>-witness`, ephemeral: see
/// below. kazoo and Curator do not look at children; a deletion of the znode has to be recursive
/// meanwhile.
///
/// # Lost replies
///
/// Each change is one transaction that writes the number and, into the witness, a random mark. If the
/// reply is lost, the client reads the witness: the mark says whether the change took effect, also if
/// other programs have changed the number since. So a change that succeeds has counted once. If the
/// servers end the session, and delete the witness with it, before the client has read it, the outcome
/// is [`Unknown`](zk_client::Outcome::Unknown), and the change has counted once or not at all. kazoo and
/// Curator count twice when a reply is lost.
///
/// If the ensemble refuses the witness (the client may not create children of the znode), or
/// [`without_witness`](Self::without_witness), the version of the znode decides. The outcome is then
/// also unknown where the contents found are those of this change, or more changes followed.
///
/// # Cost
///
/// A read and a write for each change: two requests in two round trips, and as many for each
/// conflict with another writer. One more request creates the witness, which is sent together with
/// the first read; another deletes it in the background, when the last clone of the handle is dropped.
/// A handle and its clones change the number one after the other, without conflicts among them.
///
/// `n` programs that change one number at the same time need up to n² attempts; with
/// [`promote_to_lock`](Self::promote_to_lock) they take turns.
///
/// # Losing the session
///
/// The number belongs to no session. The witness is created again in the next session. A change that
/// was not sent is sent in the next session; the outcome of one in flight is unknown.
///
/// # Cancel safety
///
/// After a dropped change the number was changed once or not at all. No znode is left: a witness that
/// is being created is deleted.
#[derive(Debug, Clone)]
pub struct Counter<N = i64> {
    number: NumberCell<N>,
}

/// A number of a [`Counter`]: `i64` or `f64`.
#[expect(private_bounds, reason = "no other types can implement it")]
pub trait CounterNumber: Number {}

impl CounterNumber for i64 {}
impl CounterNumber for f64 {}

impl Counter {
    /// The counter of integers at `path`. It starts at 0.
    pub fn new(client: &Client, path: &str) -> Self {
        Counter {
            number: NumberCell::new(client, path, Format::Text),
        }
    }

    /// Uses the format of Curator's `SharedCount`, and of kazoo's counter with the option of this name:
    /// four bytes, the most significant first. The range is that of `i32`.
    #[must_use]
    pub fn support_curator(mut self) -> Self {
        self.number.set_format(Format::FourBytes);
        self
    }
}

impl Counter<f64> {
    /// The counter of floats at `path`. It starts at 0.
    pub fn float(client: &Client, path: &str) -> Self {
        Counter {
            number: NumberCell::new(client, path, Format::Text),
        }
    }
}

impl<N: CounterNumber> Counter<N> {
    /// The value before the first change, kazoo's `default`; 0 unless given. It should be the same in
    /// all programs.
    #[doc(alias = "default")]
    #[must_use]
    pub fn initial(mut self, initial: N) -> Self {
        self.number.set_initial(initial);
        self
    }
}

counter_methods!([N: CounterNumber] Counter<N>, N);
cell_options!([N: CounterNumber] Counter<N>, number.cell);
