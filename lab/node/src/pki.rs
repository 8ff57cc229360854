//! The cluster's keys and certificates, made anew for every node and in this process.
//!
//! Two authorities: the cluster's own, and one for the front proxy, so that no client certificate
//! of the first can pose as the aggregator.
//! Source: Kubernetes, "PKI certificates and requirements".

use std::collections::BTreeMap;

use miette::{IntoDiagnostic, Result, WrapErr};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::member::Member;
use crate::network::{NODE_ADDRESS, SERVICE_ADDRESS};

/// The namespace and name of metrics-server's service, which its certificate carries.
pub const METRICS_SERVICE: &str = "metrics-server.kube-system.svc";

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

/// Everything that is signed for one node.
#[derive(Debug)]
pub struct Pki {
    /// The cluster's authority; its key is forgotten once everything is signed.
    pub ca_certificate: String,
    /// The front proxy's authority.
    front_proxy_ca_certificate: String,
    /// By file stem: `apiserver`, `kubelet`, …
    pairs: BTreeMap<&'static str, Pair>,
    /// Of the workers' kubelets, by the worker's name: as server, as client.
    workers: BTreeMap<String, [Pair; 2]>,
    service_account_key: String,
    service_account_public_key: String,
}

/// What a certificate is for.
enum Purpose {
    Server(Vec<String>),
    Client,
}

impl Pki {
    /// Makes all keys and certificates of the node `node` and of its workers.
    ///
    /// # Errors
    /// The random source fails.
    pub fn generate(node: &str, workers: &[Member]) -> Result<Self> {
        Self::generate_inner(node, workers)
            .into_diagnostic()
            .wrap_err("make the cluster's certificates")
    }

    fn generate_inner(node: &str, members: &[Member]) -> Result<Self, rcgen::Error> {
        let ca = authority("wamr-lab-ca")?;
        let front_proxy_ca = authority("wamr-lab-front-proxy-ca")?;
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let api_names = names(&[
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "localhost",
            node,
            NODE_ADDRESS,
            SERVICE_ADDRESS,
            "127.0.0.1",
        ]);
        let kubelet_names = names(&[node, NODE_ADDRESS, "127.0.0.1"]);
        let metrics_names = names(&[METRICS_SERVICE, NODE_ADDRESS]);
        let user = format!("system:node:{node}");
        let masters = "system:masters";
        let wanted: [(&str, &str, &str, Purpose); 9] = [
            ("apiserver", "kube-apiserver", "", Purpose::Server(api_names)),
            ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", masters, Purpose::Client),
            ("kubelet-server", &user, "system:nodes", Purpose::Server(kubelet_names)),
            ("kubelet", &user, "system:nodes", Purpose::Client),
            ("admin", "wamr-lab-admin", masters, Purpose::Client),
            ("controller-manager", "system:kube-controller-manager", "", Purpose::Client),
            ("scheduler", "system:kube-scheduler", "", Purpose::Client),
            ("metrics-server", "metrics-server", "", Purpose::Client),
            ("metrics-server-serving", "metrics-server", "", Purpose::Server(metrics_names)),
        ];
        let mut pairs = BTreeMap::new();
        for (stem, name, group, purpose) in wanted {
            pairs.insert(stem, sign(&ca, name, group, purpose)?);
        }
        let proxy = sign(&front_proxy_ca, "front-proxy-client", "", Purpose::Client)?;
        pairs.insert("front-proxy-client", proxy);
        let mut workers = BTreeMap::new();
        for worker in members {
            workers.insert(worker.name.clone(), kubelet_pairs(&ca, worker)?);
        }
        let service_account = KeyPair::generate()?;
        Ok(Self {
            ca_certificate: ca.pem(),
            front_proxy_ca_certificate: front_proxy_ca.pem(),
            pairs,
            workers,
            service_account_key: service_account.serialize_pem(),
            service_account_public_key: service_account.public_key_pem(),
        })
    }

    /// The pair with this file stem.
    pub fn pair(&self, stem: &str) -> &Pair {
        &self.pairs[stem]
    }

    /// The pair with which a worker's kubelet asks the API server.
    pub fn worker_client(&self, name: &str) -> &Pair {
        &self.workers[name][1]
    }

    /// Files of a worker's PKI directory: name, content.
    pub fn worker_files(&self, name: &str) -> Vec<(String, &str)> {
        let server = &self.workers[name][0];
        vec![
            ("ca.crt".to_owned(), self.ca_certificate.as_str()),
            ("kubelet-server.crt".to_owned(), &server.certificate),
            ("kubelet-server.key".to_owned(), &server.key),
        ]
    }

    /// Files of the control plane's PKI directory: name, content.
    pub fn files(&self) -> Vec<(String, &str)> {
        let mut files = vec![
            ("ca.crt".to_owned(), self.ca_certificate.as_str()),
            ("front-proxy-ca.crt".to_owned(), self.front_proxy_ca_certificate.as_str()),
            ("sa.key".to_owned(), self.service_account_key.as_str()),
            ("sa.pub".to_owned(), self.service_account_public_key.as_str()),
        ];
        for (stem, pair) in &self.pairs {
            files.push((format!("{stem}.crt"), &pair.certificate));
            files.push((format!("{stem}.key"), &pair.key));
        }
        files
    }
}

/// What a kubelet serves with, and what it asks the API server with.
fn kubelet_pairs(
    ca: &CertifiedIssuer<'_, KeyPair>,
    node: &Member,
) -> Result<[Pair; 2], rcgen::Error> {
    let user = format!("system:node:{}", node.name);
    let names = vec![node.name.clone(), node.address(), "127.0.0.1".to_owned()];
    Ok([
        sign(ca, &user, "system:nodes", Purpose::Server(names))?,
        sign(ca, &user, "system:nodes", Purpose::Client)?,
    ])
}

fn params(common_name: &str, organisation: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    if !organisation.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, organisation);
    }
    // A node lives for hours; a wrong clock must not make it fail.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = params(name, "");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn sign(
    issuer: &CertifiedIssuer<'_, KeyPair>,
    name: &str,
    group: &str,
    purpose: Purpose,
) -> Result<Pair, rcgen::Error> {
    let mut params = params(name, group);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    match purpose {
        Purpose::Server(names) => {
            params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        Purpose::Client => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
    }
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_pem_and_keys_differ() {
        let pki = Pki::generate("demo", &[]).unwrap();
        let files = pki.files();
        assert_eq!(files.len(), 4 + 2 * 10);
        for (name, text) in &files {
            assert!(text.starts_with("-----BEGIN "), "{name}");
        }
        let private = |text: &str| text.starts_with("-----BEGIN PRIVATE KEY");
        let mut keys: Vec<&str> =
            files.iter().map(|(_, text)| *text).filter(|text| private(text)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 11);
    }

    #[test]
    fn the_node_is_named_in_its_certificate() {
        let pki = Pki::generate("demo", &[]).unwrap();
        let certificate = &pki.pair("kubelet").certificate;
        let body: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
        // "system:node:demo" begins on a byte that base64 may split, so compare decoded bytes.
        let bytes = decode_base64(&body);
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(has("system:node:demo") && has("system:nodes"));
    }

    fn decode_base64(text: &str) -> Vec<u8> {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (mut bits, mut count, mut out) = (0u32, 0, Vec::new());
        for byte in text.bytes().filter(|byte| *byte != b'=') {
            let value = ALPHABET.iter().position(|known| *known == byte).unwrap();
            bits = bits << 6 | value as u32;
            count += 6;
            if count >= 8 {
                count -= 8;
                out.push((bits >> count) as u8);
            }
        }
        out
    }
}
