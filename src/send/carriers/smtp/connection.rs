//! A connection to a relay: greeting, EHLO, TLS, AUTH; then transactions, one after the other.

use super::Shared;
use super::reply::{Reply, Step, Trouble};
use super::wire::Wire;
use super::{Credentials, Tls, dsn};
use crate::domain::audience::Address;
use crate::domain::delivery::{DeliveryKey, Outcome, Reason};
use crate::send::carrier::Gate;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// What a server announced in its answer to EHLO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Offers {
    pipelining: bool,
    eight_bit: bool,
    utf8: bool,
    starttls: bool,
    dsn: bool,
    /// Without a number there is no limit to know (RFC 1870 section 3).
    size: Option<Option<u64>>,
    auth_plain: bool,
    auth_login: bool,
}

impl Offers {
    fn read(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            // `AUTH=` is how some old servers spell it.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("8BITMIME") => offers.eight_bit = true,
                Some("SMTPUTF8") => offers.utf8 = true,
                Some("STARTTLS") => offers.starttls = true,
                Some("DSN") => offers.dsn = true,
                Some("SIZE") => {
                    offers.size = Some(words.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0));
                }
                Some("AUTH") => {
                    for mechanism in words {
                        offers.auth_plain |= mechanism == "PLAIN";
                        offers.auth_login |= mechanism == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

/// What is sent in one transaction.
pub(super) struct Mail<'a> {
    pub key: &'a DeliveryKey,
    pub from: &'a Address,
    pub to: &'a Address,
    /// What reports are to give back as the letter's id (ENVID), if it has one.
    pub id: Option<&'a str>,
    /// Ready for the wire; the final dot ends at `dot_end`.
    pub bytes: &'a mut Vec<u8>,
    pub dot_end: usize,
    /// Whether the header holds anything outside ASCII.
    pub is_utf8: bool,
    /// Whether anything does.
    pub is_8bit: bool,
}

/// How a transaction ended that didn't end in trouble.
pub(super) enum Carried {
    /// The server took the letter.
    Taken(Reply),
    /// The gate stayed closed; the letter wasn't sent.
    NotAllowed,
}

/// A connection that is ready for transactions.
pub(super) struct Connection {
    wire: Wire,
    offers: Offers,
    /// The letter whose MAIL, RCPT and DATA were written together with the one before, and whose answers aren't read yet.
    pub announced: Option<DeliveryKey>,
    letters_max: u32,
    /// Whether the next transaction must clear away what is left of the one before.
    is_littered: bool,
    /// Whether it may be used again.
    pub is_sound: bool,
    /// Transactions begun.
    pub used: u32,
    /// When it was last used, by the clock's uptime.
    pub used_at: Duration,
}

impl Connection {
    /// Connects and introduces itself.
    pub(super) async fn open(shared: &Shared) -> Result<Self, Trouble> {
        let settings = &shared.settings;
        let mut wire = Wire::connect(&settings.host, settings.port, settings.deadlines).await?;
        if settings.tls == Tls::Implicit {
            wire = wire.into_tls(shared.server_name.clone(), shared.tls.clone()).await?;
        }
        let greeting = wire.hear(Step::Greeting).await?;
        wanted(Step::Greeting, greeting, 220)?;
        let mut offers = ehlo(&mut wire, &settings.hello).await?;
        if settings.tls == Tls::Starttls {
            if !offers.starttls {
                return Err(unfit(Reason::OurError, "the server doesn't offer STARTTLS, which is required"));
            }
            wire.say(Step::StartTls, b"STARTTLS\r\n").await?;
            let answer = wire.hear(Step::StartTls).await?;
            wanted(Step::StartTls, answer, 220)?;
            wire = wire.into_tls(shared.server_name.clone(), shared.tls.clone()).await?;
            // What was offered without protection counts for nothing (RFC 3207 section 4.2).
            offers = ehlo(&mut wire, &settings.hello).await?;
        }
        if let Some(credentials) = &settings.credentials {
            authenticate(&mut wire, &offers, credentials).await?;
        }
        let used_at = shared.clock.uptime();
        let letters_max = settings.letters_max;
        Ok(Self { wire, offers, announced: None, letters_max, is_littered: false, is_sound: true, used: 0, used_at })
    }

    /// Whether the server has said nothing since.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.wire.interruption(Step::Reset).is_ok()
    }

    /// The certificate that the server showed, in DER.
    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        self.wire.certificate()
    }

    /// Ends it politely.
    pub(super) async fn quit(self) {
        self.wire.quit().await;
    }

    /// Sends one letter to one recipient, and announces the next in the same write, so that each letter costs one
    /// round trip (RFC 2920 section 3.1 lets commands follow the final dot). Afterwards the connection may be used again if it
    /// is still sound.
    pub(super) async fn send(
        &mut self,
        mail: &mut Mail<'_>,
        gate: &mut Gate,
        ahead: Option<&mut (Mail<'_>, &mut Gate)>,
    ) -> Result<Carried, Trouble> {
        if let Err(trouble) = self.introduce(mail, gate).await {
            // A letter that doesn't fit wasn't spoken of, and litter can be cleared away; after anything else nobody knows
            // where the dialogue stands.
            self.is_sound = self.is_littered || matches!(trouble, Trouble::Unfit(_));
            return Err(trouble);
        }
        // A server that has got DATA waits for the letter; without its dot nothing is delivered.
        self.is_sound = false;
        if !gate.pass().await {
            return Ok(Carried::NotAllowed);
        }
        self.wire.interruption(Step::Data)?;
        mail.bytes.truncate(mail.dot_end);
        if let Some((next, next_gate)) = ahead.filter(|_| self.offers.pipelining && self.used < self.letters_max)
            && let Ok(commands) = self.envelope(next)
        {
            commands.iter().for_each(|(_, line)| mail.bytes.extend_from_slice(line.as_bytes()));
            next_gate.ask();
            self.announced = Some(next.key.clone());
        }
        let written = self.wire.letter(mail.bytes, mail.dot_end).await;
        let reply = match written {
            Ok(()) => self.wire.hear(Step::Dot).await,
            Err(trouble) => Err(trouble),
        };
        let reply = reply.inspect_err(|_| self.announced = None)?;
        self.is_sound = reply.code != 421 && reply.class() != 3;
        if !self.is_sound {
            self.announced = None;
        }
        wanted(Step::Dot, reply, 250).map(Carried::Taken)
    }

    /// MAIL, RCPT and DATA: in one write if the server allows it (RFC 2920), so that they cost one round trip.
    /// After a refused recipient the connection is littered: it can go on after RSET.
    async fn introduce(&mut self, mail: &Mail<'_>, gate: &mut Gate) -> Result<(), Trouble> {
        let is_announced = self.announced.take().is_some();
        let commands = if is_announced { Vec::new() } else { self.envelope(mail)? };
        self.used += 1;
        self.is_sound = false;
        let is_pipelined = self.offers.pipelining;
        if let (true, Some((first, _))) = (is_pipelined, commands.first()) {
            let all: String = commands.iter().map(|(_, line)| line.as_str()).collect();
            self.wire.say(*first, all.as_bytes()).await?;
        }
        if is_pipelined {
            gate.ask();
        }
        let announced = [Step::Mail, Step::Rcpt, Step::Data].map(|step| (step, String::new()));
        for (step, line) in if is_announced { announced.to_vec() } else { commands } {
            if !is_pipelined {
                self.wire.say(step, line.as_bytes()).await?;
                if step == Step::Mail {
                    gate.ask();
                }
            }
            let reply = self.wire.hear(step).await?;
            let refused = match wanted(step, reply, if step == Step::Data { 354 } else { 250 }) {
                Ok(_) => continue,
                Err(trouble) => trouble,
            };
            if step == Step::Rcpt && !matches!(&refused, Trouble::Said(_, reply) if reply.code == 421) {
                // A server that wants a letter for nobody isn't argued with: the connection is closed.
                self.is_littered = !is_pipelined || self.wire.hear(Step::Data).await.is_ok_and(|r| r.class() != 3);
            }
            return Err(refused);
        }
        Ok(())
    }

    /// The commands that announce a letter.
    fn envelope(&mut self, mail: &Mail<'_>) -> Result<Vec<(Step, String)>, Trouble> {
        let parameters = self.parameters(mail)?;
        let mut commands = Vec::with_capacity(4);
        if std::mem::take(&mut self.is_littered) {
            commands.push((Step::Reset, "RSET\r\n".to_owned()));
        }
        let (of_mail, of_rcpt) = if self.offers.dsn { dsn::parameters(mail.to, mail.id) } else { Default::default() };
        commands.push((Step::Mail, format!("MAIL FROM:<{}>{parameters}{of_mail}\r\n", mail.from)));
        commands.push((Step::Rcpt, format!("RCPT TO:<{}>{of_rcpt}\r\n", mail.to)));
        commands.push((Step::Data, "DATA\r\n".to_owned()));
        Ok(commands)
    }

    /// What MAIL must say of this letter, as far as the server understands it.
    fn parameters(&self, mail: &Mail<'_>) -> Result<String, Trouble> {
        let (offers, mut parameters) = (&self.offers, String::new());
        let len = mail.dot_end as u64;
        if let Some(limit) = offers.size {
            if limit.is_some_and(|limit| len > limit) {
                let reply = format!("the letter has {len} octets, the server takes {}", limit.unwrap_or_default());
                return Err(Trouble::Unfit(Outcome::Refused { reason: Reason::ContentRefused, reply }));
            }
            parameters.push_str(&format!(" SIZE={len}"));
        }
        if mail.is_utf8 {
            if !offers.utf8 && !mail.to.as_str().is_ascii() {
                let reply = "the address needs SMTPUTF8, which the server lacks".to_owned();
                return Err(Trouble::Unfit(Outcome::Refused { reason: Reason::NeedsSmtpUtf8, reply }));
            }
            if !offers.utf8 {
                return Err(unfit(Reason::OurError, "the sender needs SMTPUTF8, which the server lacks"));
            }
            parameters.push_str(" SMTPUTF8");
        }
        if mail.is_8bit {
            if !offers.eight_bit {
                return Err(unfit(Reason::OurError, "the letter needs 8BITMIME, which the server lacks"));
            }
            parameters.push_str(" BODY=8BITMIME");
        }
        Ok(parameters)
    }
}

fn unfit(reason: Reason, why: &str) -> Trouble {
    Trouble::Unfit(Outcome::TryLater { reason, reply: why.to_owned(), not_before: None })
}

/// The reply if it is of the wanted kind; any 2xx will do where 250 is wanted.
fn wanted(step: Step, reply: Reply, code: u16) -> Result<Reply, Trouble> {
    if reply.class() == code / 100 { Ok(reply) } else { Err(Trouble::Said(step, reply)) }
}

async fn ehlo(wire: &mut Wire, hello: &str) -> Result<Offers, Trouble> {
    wire.say(Step::Ehlo, format!("EHLO {hello}\r\n").as_bytes()).await?;
    let reply = wire.hear(Step::Ehlo).await?;
    wanted(Step::Ehlo, reply, 250).map(|reply| Offers::read(&reply))
}

/// AUTH (RFC 4954) with PLAIN (RFC 4616) or else LOGIN.
async fn authenticate(wire: &mut Wire, offers: &Offers, credentials: &Credentials) -> Result<(), Trouble> {
    if !wire.is_private() {
        return Err(unfit(Reason::OurError, "the password isn't sent without TLS to another machine"));
    }
    let (user, password) = (&credentials.user, &credentials.password);
    let lines = if offers.auth_plain {
        vec![format!("AUTH PLAIN {}\r\n", STANDARD.encode(format!("\0{user}\0{password}")))]
    } else if offers.auth_login {
        vec!["AUTH LOGIN\r\n".to_owned(), STANDARD.encode(user) + "\r\n", STANDARD.encode(password) + "\r\n"]
    } else {
        return Err(unfit(Reason::OurError, "the server offers neither AUTH PLAIN nor AUTH LOGIN"));
    };
    let last = lines.len() - 1;
    for (index, line) in lines.into_iter().enumerate() {
        wire.say(Step::Auth, line.as_bytes()).await?;
        let reply = wire.hear(Step::Auth).await?;
        wanted(Step::Auth, reply, if index == last { 235 } else { 334 })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_in_any_spelling() {
        let text =
            "250-relay greets you\r\n250-Pipelining\r\n250-size 1000\r\n250-AUTH=LOGIN PLAIN\r\n250 8BITMIME\r\n";
        let (reply, _) = Reply::parse(text.as_bytes()).unwrap().unwrap();
        let offers = Offers::read(&reply);
        assert!(offers.pipelining && offers.eight_bit && offers.auth_plain && offers.auth_login);
        assert!(!offers.utf8 && !offers.starttls);
        assert_eq!(offers.size, Some(Some(1_000)));
        let (reply, _) = Reply::parse(b"250-PIPELINING is my name\r\n250 SIZE\r\n").unwrap().unwrap();
        assert_eq!(Offers::read(&reply), Offers { size: Some(None), ..Offers::default() });
    }
}
