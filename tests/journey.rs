//! Journeys of posts on a clock that stands still until it is moved, on a store in memory.
//!
//! `journey::days` and `journey::readers` tell single days that have names. `journey::histories` takes random ones and holds them against
//! `journey::model`, which says in set arithmetic who is owed what, and
//! `journey::people`, which says what people may do about it.
#![allow(missing_docs, reason = "a test")]

mod journey {
    mod acts;
    mod addresses;
    mod days;
    mod departures;
    mod dice;
    mod draft;
    mod emptying;
    mod front;
    mod histories;
    mod house;
    mod model;
    mod people;
    mod readers;
    mod reckoning;
    mod sending;
    mod step;
    mod walk;
}
