use super::*;

const BODY: &[u8] = br#"{"test": 2432232314}"#;
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT: UnixMillis = UnixMillis(1_614_265_330_000);

fn shared() -> Key {
    Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key")
}

fn verified(keys: &[Key], signature: &str, body: &[u8], now: UnixMillis) -> Result<(), Untrue> {
    let timestamp = seconds(AT);
    verify(keys, &Signed { id: ID, timestamp: &timestamp, signature }, body, now, TOLERANCE)
}

/// The vector of the specification's own libraries.
#[test]
fn the_signature_is_that_of_the_test_vector() {
    assert_eq!(sign([&shared()], ID, AT, BODY), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn any_of_several_keys_verifies_and_nothing_altered_does() {
    let (old, new, pair) = (shared(), Key::new_shared([1, 2, 3, 4]), Key::new_private([5, 6, 7, 8]));
    let signature = sign([&old, &pair], ID, AT, BODY);
    assert_eq!(signature.split(' ').count(), 2);
    for key in [old.clone(), pair.clone(), pair.verifier()] {
        assert_eq!(verified(&[new.clone(), key], &signature, BODY, AT), Ok(()));
    }
    assert_eq!(verified(std::slice::from_ref(&new), &signature, BODY, AT), Err(Untrue::NoMatch));
    assert_eq!(verified(&[old.clone(), pair.clone()], &signature, b"{}", AT), Err(Untrue::NoMatch));
    assert_eq!(verified(std::slice::from_ref(&old), "v2,AAAA v1 , v1,!", BODY, AT), Err(Untrue::NoMatch));
    // The signature of one scheme under the name of the other.
    let crossed = sign([&old], ID, AT, BODY).replacen("v1,", "v1a,", 1);
    assert_eq!(verified(&[old, pair.verifier()], &crossed, BODY, AT), Err(Untrue::NoMatch));
}

#[test]
fn what_is_late_or_early_is_not_believed() {
    let signature = sign([&shared()], ID, AT, BODY);
    let at = |seconds: i64| verified(&[shared()], &signature, BODY, UnixMillis(AT.0 + seconds * 1_000));
    assert_eq!((at(300), at(-300)), (Ok(()), Ok(())));
    assert_eq!((at(301), at(-301)), (Err(Untrue::TooOld), Err(Untrue::TooNew)));
    let signed = |id, timestamp| Signed { id, timestamp, signature: &signature };
    for bad in ["", "+1614265330", "16142653300000000000000", "1614265330.0"] {
        assert_eq!(verify(&[shared()], &signed(ID, bad), BODY, AT, TOLERANCE), Err(Untrue::Timestamp), "{bad}");
    }
    for bad in ["", "msg.1614265330"] {
        assert_eq!(verify(&[shared()], &signed(bad, "1614265330"), BODY, AT, TOLERANCE), Err(Untrue::Id), "{bad}");
    }
}

#[test]
fn keys_are_read_as_they_are_written_and_not_shown() {
    for key in [shared(), Key::new_shared([1, 2, 3, 4]), Key::new_private([1, 2, 3, 4])] {
        assert_eq!(Key::parse(&key.reveal()), Ok(key.clone()));
        assert_eq!(Key::parse(&key.verifier().reveal()), Ok(key.verifier()));
        assert_eq!(format!("{key:?}"), "Key(***)");
    }
    let seed_alone = format!("whsk_{}", STANDARD.encode([7; 32]));
    assert_eq!(Key::parse(&seed_alone), Ok(Key::Private([7; 32])));
    let strange = format!("whsk_{}", STANDARD.encode([7; 64]));
    assert_eq!(Key::parse(&strange), Err(BadKey::Halves));
    assert_eq!(Key::parse("whsec_AAAA"), Err(BadKey::Length));
    assert_eq!(Key::parse("whsec_***"), Err(BadKey::Base64));
    assert_eq!((Key::parse("secret_AAAA"), Key::parse("secret")), (Err(BadKey::Prefix), Err(BadKey::Prefix)));
}
