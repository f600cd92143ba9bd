//! One step of a random history. Whom and what it concerns is a number, taken modulo what there is, so that a history
//! stays one when steps are left out of it.

use allim::domain::audience::Slot;
use allim::store::profile::Then;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Subscribe {
        who: usize,
        topic: usize,
        slot: Slot,
    },
    Unsubscribe {
        who: usize,
        topic: usize,
    },
    UnsubscribeSchedule {
        who: usize,
        schedule: &'static str,
    },
    ReadIn {
        who: usize,
        language: &'static str,
    },
    Save {
        who: usize,
        saving: Saving,
    },
    Pause {
        who: usize,
        /// Full minutes, so that its end meets a firing or the end of an embargo exactly.
        minutes: u64,
        then: Then,
    },
    Resume {
        who: usize,
    },
    /// Leaves a schedule, or all.
    Leave {
        who: usize,
        schedule: Option<&'static str>,
    },
    Undo {
        who: usize,
    },
    Erase {
        who: usize,
    },
    /// Somebody asks for topics in the name of an address.
    SignUp {
        address: usize,
        language: &'static str,
        wishes: Vec<(usize, Slot)>,
    },
    AskToMove {
        who: usize,
        address: usize,
    },
    /// The holder of an address confirms what waits there; one bit a topic that they leave ticked.
    Confirm {
        address: usize,
        ticked: usize,
    },
    Publish(Wording),
    Revise {
        post: usize,
        number: Number,
        as_event: bool,
        wording: Wording,
    },
    Withdraw {
        post: usize,
    },
    LiftBackfill {
        post: usize,
    },
    /// The last message arrives once more.
    Repeat,
    Pass(Duration),
    Tick,
    /// The clock moves to when the planner wants to be woken, and it ticks.
    TickWhenDue,
    Claim {
        count: usize,
    },
    Begin {
        which: usize,
    },
    Answer {
        which: usize,
        answer: Answer,
    },
    /// Claims, begins and answers, without anything in between.
    Send {
        count: usize,
        answer: Answer,
    },
    /// The sending process dies.
    Die,
    Settle,
    Reconfigure,
}

impl Step {
    /// Whose step it is, if it is one of those who are there.
    pub(super) fn who(&self) -> Option<usize> {
        match self {
            Self::Subscribe { who, .. }
            | Self::Unsubscribe { who, .. }
            | Self::UnsubscribeSchedule { who, .. }
            | Self::ReadIn { who, .. }
            | Self::Save { who, .. }
            | Self::Pause { who, .. }
            | Self::Resume { who }
            | Self::Leave { who, .. }
            | Self::Undo { who }
            | Self::Erase { who }
            | Self::AskToMove { who, .. } => Some(*who),
            _ => None,
        }
    }
}

/// What somebody changes on their page of settings before they save it.
#[derive(Clone, Debug)]
pub(super) struct Saving {
    /// Topics whose schedule they change; `None` ends one.
    pub(super) topics: Vec<(usize, Option<Slot>)>,
    pub(super) language: Option<&'static str>,
    /// Plain text alone, or no longer.
    pub(super) other_form: bool,
}

/// What is said in a post; instants are relative to the present.
#[derive(Clone, Debug)]
pub(super) struct Wording {
    /// A story shared with other posts.
    pub(super) story: Option<usize>,
    pub(super) language: &'static str,
    pub(super) languages_expected: Vec<&'static str>,
    /// One bit a topic.
    pub(super) topics: usize,
    pub(super) old: bool,
    /// Full minutes, so that a boundary meets a firing exactly.
    pub(super) embargo_minutes: Option<u64>,
    /// After it may be shown.
    pub(super) expiry_minutes: Option<u64>,
    pub(super) urgent: bool,
    pub(super) as_event: bool,
}

/// Which number a revision bears.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Unsaid,
    Next,
    /// One is left out.
    AfterNext,
    /// One that was left out; the next if none was.
    LeftOut,
}

/// What the far side says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Yes,
    Later,
    /// The destination as a whole has no time.
    Busy,
    No,
    /// It isn't heard.
    Lost,
}
