//! Passwords: Argon2id (RFC 9106) with the parameters that OWASP's Password Storage Cheat Sheet asks for (19 MiB, 2 passes).

use super::Room;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use std::sync::LazyLock;

/// Passwords that are hashed at once: each takes 19 MiB and some of a processor.
pub(super) const AT_ONCE_MAX: usize = 2;
/// Octets of salt.
const SALT_LEN: usize = 16;

/// What somebody who isn't there is compared with, so that it takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| hashed("nobody", &[0; SALT_LEN]).unwrap_or_default());

fn hashed(password: &str, salt: &[u8]) -> Option<String> {
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), salt);
    hash.map(|hash| hash.to_string()).ok()
}

/// What is kept of a password: a PHC string.
pub(super) async fn hash(room: &Room, password: String) -> Option<String> {
    let salt: Vec<u8> = (0..SALT_LEN / 8).flat_map(|_| room.front.chance.draw().to_be_bytes()).collect();
    let _turn = room.hashing.acquire().await.ok()?;
    tokio::task::spawn_blocking(move || hashed(&password, &salt)).await.ok()?
}

/// Whether a password is the one that was kept. Takes as long when none was.
pub(super) async fn is_right(room: &Room, password: String, kept: Option<String>) -> bool {
    let Ok(_turn) = room.hashing.acquire().await else { return false };
    let compare = move || {
        let is_somebody = kept.is_some();
        let kept = kept.unwrap_or_else(|| NOBODY.clone());
        let parsed = argon2::PasswordHash::new(&kept);
        let is_same = parsed.is_ok_and(|kept| Argon2::default().verify_password(password.as_bytes(), &kept).is_ok());
        is_same && is_somebody
    };
    tokio::task::spawn_blocking(compare).await.unwrap_or(false)
}
