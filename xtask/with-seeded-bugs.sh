#!/bin/sh
# What cargo runs in place of rustc for the crates of the workspace: `cargo xtask bugs`.
exec "$@" --cfg seeded_bugs
