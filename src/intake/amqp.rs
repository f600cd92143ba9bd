//! Posts out of a RabbitMQ queue. A delivery is acknowledged only once [`Intake::accept`] has committed it, so a broker,
//! a connection or a daemon that dies at any moment costs a redelivery, never a post.
//!
//! [`Intake::accept`]: super::Intake::accept

#[cfg(feature = "amqp")]
mod consume;
#[cfg(feature = "amqp")]
mod link;
#[cfg(feature = "amqp")]
mod message;
#[cfg(feature = "amqp")]
mod publish;
#[cfg(feature = "amqp")]
mod topology;

#[cfg(feature = "amqp")]
pub use consume::run;
#[cfg(feature = "amqp")]
pub use publish::{Letter, publish, publish_to};

use std::path::PathBuf;
use std::time::Duration;

/// How long a delivery may wait for its commit. RabbitMQ closes the channel of a consumer that owes an answer for
/// 30 minutes (`consumer_timeout`); a third of that leaves room for what was prefetched behind it.
pub const HOLD_MAX: Duration = Duration::from_secs(10 * 60);

/// Bytes of a queue's name: `.dead` is put behind it, and AMQP's short strings end at 255.
pub const QUEUE_NAME_BYTES_MAX: usize = 250;

/// What is appended to the queue's name for the dead-letter exchange and the dead-letter queue.
pub const DEAD_SUFFIX: &str = ".dead";

/// The queue and how it is reached.
#[derive(Clone)]
pub struct Settings {
    /// `amqp://user@host:5672/%2f` or `amqps://…`. A `heartbeat` in seconds may stand in its query.
    pub url: String,
    /// A file whose first line is the password. Read at each connection, so that a changed password is taken up.
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The quorum queue, 1 to [`QUEUE_NAME_BYTES_MAX`] bytes.
    pub queue: String,
    /// The configured source whose posts arrive there.
    pub source: String,
    /// Deliveries that the broker sends ahead of their acknowledgement, at least 1.
    pub prefetch: u16,
    /// Deliveries of one message before the broker dead-letters it.
    pub delivery_limit: u32,
    /// What is done about queue and exchange.
    pub topology: Topology,
    /// How long a delivery may wait for its commit before it is handed back; [`HOLD_MAX`] but for tests.
    pub hold_max: Duration,
}

/// What is done about queue and exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Made when they aren't there.
    #[default]
    Declare,
    /// Must be there; for a broker where this user may not make any.
    Check,
}

/// Connects to the broker, logs in and leaves: for `allim check`.
///
/// # Errors
/// What was in the way; never with the password.
#[cfg(feature = "amqp")]
pub async fn probe(settings: &Settings) -> anyhow::Result<()> {
    let link = link::Link::open(settings).await?;
    let channel = link.channel().await;
    link.close(channel.as_ref().ok()).await;
    channel.map(drop)
}

impl Settings {
    /// Looks for what can be known to be wrong before the broker is asked.
    ///
    /// # Errors
    /// A sentence that names the setting and what would be right.
    pub fn check(&self) -> anyhow::Result<()> {
        let length = self.queue.len();
        anyhow::ensure!(
            (1..=QUEUE_NAME_BYTES_MAX).contains(&length),
            "intake.amqp.queue has {length} bytes; 1 to {QUEUE_NAME_BYTES_MAX} are possible"
        );
        #[cfg(feature = "amqp")]
        return link::address(self).map(drop);
        #[cfg(not(feature = "amqp"))]
        anyhow::bail!(
            "[intake.amqp] is configured, but this allim was built without RabbitMQ; build it with the cargo feature \
             `amqp`, or take the section out"
        );
    }

    /// The name of the dead-letter exchange and of the queue bound to it.
    #[must_use]
    pub fn dead(&self) -> String {
        format!("{}{DEAD_SUFFIX}", self.queue)
    }
}
