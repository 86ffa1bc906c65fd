//! Tests that count what the process allocates. The counting allocator is the whole program's, so they
//! have a program of their own, in which one test runs at a time.

#[path = "../common/mod.rs"]
mod common;

mod at_size;
mod bounds;
mod descriptors;
mod hostile;
mod retained;

use peak_alloc::PeakAlloc;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;
