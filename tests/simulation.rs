//! The planner, the real sender and the store through random lives: a process that is scheduled, starved, refused, lied to,
//! frozen and killed as a seed says, again and again, and then a healthy one. What must hold afterwards is set arithmetic:
//! who was owed what, what the far side took, what is uncertain (`simulation::reckoning`).
//!
//! `tests/journey.rs` holds the planner's rules against a model in detail, with a sender played by hand; here it is the
//! sender itself, and everything that can happen to a process.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "simulated time is that of the runtime")]

mod simulation {
    mod act;
    mod clock;
    mod database;
    mod doing;
    #[path = "../journey/draft.rs"]
    #[allow(dead_code, reason = "the journeys use all of it")]
    mod draft;
    #[path = "../journey/emptying.rs"]
    mod emptying;
    mod far_side;
    mod ground;
    mod histories;
    mod house;
    mod life;
    mod model;
    mod reckoning;
    mod watch;
    mod world;
}
