//! Keys as an operator makes them: by `openssl`, when they are needed. None is kept in the repository.

use std::process::Command;

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("PEM")
}

/// Ed25519, in PKCS#8.
pub fn ed25519() -> String {
    openssl(&["genpkey", "-algorithm", "ed25519"])
}

/// RSA, in PKCS#8.
pub fn rsa(bits: u32) -> String {
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")])
}

/// RSA with 2048 bits, in PKCS#1.
pub fn rsa_pkcs1() -> String {
    openssl(&["genrsa", "-traditional", "2048"])
}
