//! The guide: from the first program to production, page by page.
//!
//! The reference is the documentation of each item. This guide says how the items work together, and what
//! to do when something fails. Its programs are compiled and run by the tests of this crate.
//!
//! | page | answers |
//! |---|---|
//! | [`quick_start`] | How do I get from an empty directory to a lock, a watch and a test? |
//! | [`sessions`] | What is a session, and what do I do when it ends? |
//! | [`errors`] | What does this error mean, did the write happen, and may I retry? |
//! | [`watches`] | How do I follow a znode, and which changes can I miss? |
//! | [`locks`] | What does a lock guarantee when its holder is suspended? |
//! | [`choosing`] | Which recipe do I need, and what does it cost? |
//! | [`testing`] | How do I test what my service does when ZooKeeper fails? |
//! | [`performance`] | How do I make it faster, and what do I measure? |
//! | [`security`] | How do I encrypt, authenticate and authorize? |
//! | [`production`] | Which settings, metrics and alerts do I need? |
//! | [`troubleshooting`] | What does this symptom mean, and what do I do? |
//! | [`guarantees`] | What exactly is promised, and when? |
//! | [`servers`] | What works on which server? |
//! | [`migration`] | What is the counterpart of a name of my present client? |

#[doc = include_str!("choosing.md")]
pub mod choosing {}
#[doc = include_str!("errors.md")]
pub mod errors {}
#[doc = include_str!("guarantees.md")]
pub mod guarantees {}
#[doc = include_str!("locks.md")]
pub mod locks {}
pub mod migration;
#[doc = include_str!("performance.md")]
pub mod performance {}
#[doc = include_str!("production.md")]
pub mod production {}
#[doc = include_str!("quick_start.md")]
pub mod quick_start {}
#[doc = include_str!("security.md")]
pub mod security {}
#[doc = include_str!("servers.md")]
pub mod servers {}
#[doc = include_str!("sessions.md")]
pub mod sessions {}
#[doc = include_str!("testing.md")]
pub mod testing {}
#[doc = include_str!("troubleshooting.md")]
pub mod troubleshooting {}
#[doc = include_str!("watches.md")]
pub mod watches {}
