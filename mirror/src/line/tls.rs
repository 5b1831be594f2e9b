//! TLS on a line: each end shows a certificate, and takes only one that its own authority signed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thalweg_client::ByteStream;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// This end's certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority that signed the other end's certificate.
    pub ca: PathBuf,
    /// The name in the certificate of the end that listens; by default the host that is dialled.
    pub server_name: Option<String>,
}

/// Certificates that cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM of its kind.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// They do not fit together.
    #[error("certificate {certificate} and its key do not do for TLS: {reason}", certificate = certificate.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Both roles of one end, ready.
pub struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    server_name: Option<String>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: &TlsFiles) -> Result<Tls, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.ca)? {
            roots
                .add(certificate)
                .map_err(|error| wrong(&files.ca, error.to_string()))?;
        }
        let chain = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| wrong(&files.key, format!("no private key in PEM: {error}")))?;
        let unfit = |reason: String| TlsError::Pair {
            certificate: files.certificate.clone(),
            reason,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), Arc::clone(&provider))
                .build()
                .map_err(|error| wrong(&files.ca, error.to_string()))?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(chain.clone(), key.clone_key())
            })
            .map_err(|error| unfit(error.to_string()))?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_root_certificates(roots)
                    .with_client_auth_cert(chain, key)
            })
            .map_err(|error| unfit(error.to_string()))?;
        Ok(Tls {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
            server_name: files.server_name.clone(),
        })
    }

    /// The end that listens.
    ///
    /// # Errors
    /// What the handshake says.
    pub async fn accept(&self, stream: TcpStream) -> Result<Box<dyn ByteStream>, String> {
        match self.acceptor.accept(stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(format!("TLS: {error}")),
        }
    }

    /// The end that dials.
    ///
    /// # Errors
    /// As [`Tls::accept`].
    pub async fn connect(&self, stream: TcpStream, host: &str) -> Result<Box<dyn ByteStream>, String> {
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name.clone())
            .map_err(|_| format!("TLS: '{name}' cannot be the name in a certificate; set server_name"))?;
        match self.connector.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(format!("TLS: {error}")),
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(path, error.to_string()))?
        .collect();
    let found = found.map_err(|error| wrong(path, error.to_string()))?;
    match found.is_empty() {
        true => Err(wrong(path, "no certificate in PEM".to_owned())),
        false => Ok(found),
    }
}

fn wrong(path: &Path, reason: String) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        reason,
    }
}
