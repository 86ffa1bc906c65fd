//! The operator's pages of the guide in `zk-recipes`: what they show is what happens.

mod monitoring;
mod page;
mod symptoms;
mod texts;
