//! How many requests an operation of many requests has outstanding at once.

use crate::client::Client;

/// The most requests of one operation.
const MOST: usize = 256;
/// The part of all requests of a client that one operation may have.
const PART: usize = 4;

/// The number of requests that may be outstanding: at most 256 unless given, and a quarter of the client's
/// `max_outstanding`. An overload halves it. It grows by one after as many replies as it counts
/// requests, so that few requests are refused while the overload lasts.
#[derive(Debug)]
pub struct Window {
    size: usize,
    most: usize,
    /// The replies since it last changed.
    replies: usize,
}

impl Window {
    pub(crate) fn of(client: &Client) -> Self {
        Window::at_most(client, MOST)
    }

    /// At most so many, and at least one.
    pub fn at_most(client: &Client, most: usize) -> Self {
        let limit = client.shared().with(|core| core.max_outstanding());
        Window::new((limit / PART).min(most).max(1))
    }

    fn new(most: usize) -> Self {
        Window {
            size: most,
            most,
            replies: 0,
        }
    }

    /// How many requests may be outstanding now.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The server has answered a request.
    pub fn handle_reply(&mut self) {
        self.replies += 1;
        if self.replies >= self.size && self.size < self.most {
            self.size += 1;
            self.replies = 0;
        }
    }

    /// A request was refused because of an overload, while so many were outstanding.
    pub fn handle_overload(&mut self, outstanding: usize) {
        self.size = (outstanding.min(self.size) / 2).max(1);
        self.replies = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overload_halves_the_window() {
        let mut window = Window::new(100);
        window.handle_overload(100);
        assert_eq!(window.size(), 50);
        // Fewer were outstanding.
        window.handle_overload(11);
        assert_eq!(window.size(), 5);
        window.handle_overload(80);
        window.handle_overload(80);
        window.handle_overload(0);
        assert_eq!(window.size(), 1);
    }

    #[test]
    fn replies_widen_the_window_to_its_limit() {
        let mut window = Window::new(4);
        window.handle_reply();
        assert_eq!(window.size(), 4);
        window.handle_overload(4);
        let sizes = [(); 8].map(|()| {
            window.handle_reply();
            window.size()
        });
        assert_eq!(sizes, [2, 3, 3, 3, 4, 4, 4, 4]);
    }

    #[tokio::test]
    async fn a_window_is_a_part_of_the_client() {
        for (limit, size) in [
            (0, 1),
            (1, 1),
            (8, 2),
            (64, 16),
            (1024, 256),
            (131_072, 256),
        ] {
            let builder = Client::builder("127.0.0.1:1").max_outstanding(limit);
            let zk = builder.start().unwrap();
            assert_eq!(Window::of(&zk).size(), size);
            assert_eq!(Window::at_most(&zk, 12).size(), size.min(12));
            assert_eq!(Window::at_most(&zk, 0).size(), 1);
        }
    }
}
