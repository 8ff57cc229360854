//! kubeconfig files with everything inside, so that one file is enough on either side. Pure.

use serde_json::json;

use crate::network::NODE_ADDRESS;
use crate::pki::{Pair, Pki};

/// Where the API server listens, from inside the node's network namespace.
pub fn server() -> String {
    format!("https://{NODE_ADDRESS}:6443")
}

/// The text of a kubeconfig for `user`, whose pair of the PKI is `stem`. JSON is YAML.
pub fn render(pki: &Pki, user: &str, stem: &str) -> String {
    render_with(&pki.ca_certificate, pki.pair(stem), user)
}

/// The same for a pair that is at hand.
pub fn render_with(ca_certificate: &str, pair: &Pair, user: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "wamr-lab",
            "cluster": {
                "server": server(),
                "certificate-authority-data": base64(ca_certificate.as_bytes())
            }
        }],
        "users": [{
            "name": user,
            "user": {
                "client-certificate-data": base64(pair.certificate.as_bytes()),
                "client-key-data": base64(pair.key.as_bytes())
            }
        }],
        "contexts": [{
            "name": "wamr-lab",
            "context": { "cluster": "wamr-lab", "user": user }
        }],
        "current-context": "wamr-lab"
    });
    format!("{config:#}\n")
}

/// Base 64 with padding. Source: RFC 4648 §4.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = [0, 1, 2].map(|i| u32::from(chunk.get(i).copied().unwrap_or(0)));
        let bits = group[0] << 16 | group[1] << 8 | group[2];
        for i in 0..4 {
            if i <= chunk.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * i) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded, "{plain:?}");
        }
    }

    #[test]
    fn a_kubeconfig() {
        let pair = Pair { certificate: "C".to_owned(), key: "K".to_owned() };
        insta::assert_snapshot!(render_with("CA", &pair, "admin"));
    }
}
