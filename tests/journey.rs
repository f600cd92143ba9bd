//! Journeys of posts on a clock that stands still until it is moved, on a store in memory.
//!
//! `journey::days` tells single days that have names. `journey::histories` takes random ones and holds them against
//! `journey::model`, which says in set arithmetic who is owed what.
#![allow(missing_docs, reason = "a test")]

mod journey {
    mod days;
    mod draft;
    mod emptying;
    mod histories;
    mod house;
    mod model;
    mod reckoning;
    mod sending;
    mod step;
    mod walk;
}
