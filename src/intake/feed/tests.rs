//! Feeds as they come.
