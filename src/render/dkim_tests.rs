use super::*;
use crate::render::dkim::canonical::{body_hash, field};

/// The example of RFC 8463 appendix A: header fields in the order of its `h=`, and the signature's own field without `b=`.
const FIELDS: [&str; 5] = [
    "From: Joe SixPack <joe@football.example.com>\r\n",
    "To: Suzie Q <suzie@shopping.example.net>\r\n",
    "Subject: Is dinner ready?\r\n",
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n",
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n",
];
const BODY: &str = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
const OWN_FIELD: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; \
    i=@football.example.com;\r\n q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : \
    subject : date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=";
const SIGNATURE: &str = "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==";
const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// The example's key as `openssl genpkey` would write it.
fn example_key() -> Key {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend(STANDARD.decode(SEED).unwrap());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    Key::from_pem(pem.as_bytes()).unwrap()
}

fn example_signer() -> Signer {
    Signer::new("football.example.com".to_owned(), "brisbane".to_owned(), example_key())
}

#[test]
fn the_example_of_rfc_8463() {
    assert_eq!(STANDARD.encode(body_hash(BODY.as_bytes())), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    let mut data = Vec::new();
    for one in FIELDS {
        field(one.as_bytes(), &mut data);
        data.extend_from_slice(b"\r\n");
    }
    field(OWN_FIELD.as_bytes(), &mut data);
    assert_eq!(STANDARD.encode(example_key().sign(&data).unwrap()), SIGNATURE);
    let record = format!("brisbane._domainkey.football.example.com. IN TXT \"v=DKIM1; k=ed25519; p={PUBLIC}\"");
    assert_eq!(example_signer().dns_record(), record);
}

#[test]
fn every_field_is_signed_and_from_once_more() {
    let mut letter = FIELDS.concat();
    letter.push_str(
        "List-Id: =?utf-8?B?7JWM66a8?=\r\n <news.example.org>\r\nList-Unsubscribe: <https://a.example/u>\r\n",
    );
    letter.push_str("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n");
    letter.push_str(BODY);
    let at = UnixMillis(1_528_637_909_999);
    let signed = |letter: &str| {
        let bytes = super::signed(letter.as_bytes(), &[example_signer(), example_signer()], at).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let one = signed(&letter);
    assert!(one.ends_with(&letter), "what is signed isn't changed");
    let header = one.strip_suffix(&letter).unwrap();
    assert_eq!(header.matches("DKIM-Signature: ").count(), 2);
    assert!(header.lines().all(|line| line.len() <= LINE_LEN_MAX), "{header}");
    let unfolded = header.replace("\r\n ", "");
    let (_, tag) = unfolded.split_once("h=").unwrap();
    let names = tag.split_once(';').unwrap().0;
    let expected =
        "X-Twice:X-Twice:List-Unsubscribe-Post:List-Unsubscribe:List-Id:Message-ID:Date:Subject:To:From:From";
    assert_eq!(names, expected);
    assert!(header.contains("; t=1528637909;\r\n"), "{header}");
    assert!(!unfolded.contains("; l="), "{header}");
    assert_eq!(one, signed(&letter), "a repeat is equal");
    assert_ne!(one, signed(&letter.replace("lost", "won")));
}

#[test]
fn what_is_no_key_says_what_would_be() {
    let wrong = |pem: &str| Key::from_pem(pem.as_bytes()).map(|key| key.to_string()).unwrap_err();
    assert_eq!(wrong("secret"), BadKey::NoKey);
    assert_eq!(
        wrong("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        BadKey::Encrypted
    );
    assert_eq!(wrong("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), BadKey::Unfit);
    assert_eq!(wrong("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"), BadKey::Unfit);
    assert_eq!(format!("{:?}", example_key()), "Key(Ed25519, secret)");
}
