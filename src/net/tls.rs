//! TLS: the certificate of this server, which can be read again while connections run, and trust in other servers.

use crate::base::{Fault, limits};
use crate::disk::Disk;
use futures_rustls::{TlsAcceptor, server::TlsStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use smol::Timer;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::stream::Stream;

/// The one place that names the cryptography; nothing relies on a process-wide default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Why TLS could not be set up: which file, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// The server's side: a certificate chain and its key, from two PEM files.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads both files. They may be the same file.
    pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Tls, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let config = RwLock::new(Arc::new(server_config(&certificate, &key)?));
        Ok(Tls { certificate, key, config })
    }

    /// Reads both files again, for connections that come from now on. On an error the old certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = Arc::new(server_config(&self.certificate, &self.key)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// The handshake, within `limits::HANDSHAKE`.
    pub async fn accept<S: Stream>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let late = async {
            Timer::after(limits::HANDSHAKE).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long"))
        };
        smol::future::or(TlsAcceptor::from(config).accept(stream), late).await
    }
}

fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| explain("private key", key, &error))?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| TlsError(format!("cannot set up TLS: {error}")))?;
    builder.with_no_client_auth().with_single_cert(chain, secret).map_err(|error| {
        TlsError(match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "the key in {} does not belong to the certificate in {}: name the pair that was issued together, the server's own certificate first",
                key.display(),
                certificate.display()
            ),
            other => format!(
                "cannot use the certificate in {} with the key in {}: {other}",
                certificate.display(),
                key.display()
            ),
        })
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = || -> Result<Vec<_>, pem::Error> { CertificateDer::pem_file_iter(path)?.collect() };
    match read() {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(explain("certificate", path, &pem::Error::NoItemsFound)),
        Err(error) => Err(explain("certificate", path, &error)),
    }
}

fn explain(what: &str, path: &Path, error: &pem::Error) -> TlsError {
    let path = path.display();
    TlsError(match error {
        pem::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            format!("cannot read the {what} in {path}: permission denied; let the user that runs lazaret read it")
        }
        pem::Error::Io(error) => format!("cannot read the {what} in {path}: {error}"),
        pem::Error::NoItemsFound => format!(
            "{path} holds no {what}: it must be a PEM file with a section `-----BEGIN {}-----` (keys with a passphrase are not read)",
            what.to_uppercase()
        ),
        other => format!("the {what} in {path} is damaged: {other}"),
    })
}

/// Makes a key and a certificate for these names and writes both, readable by the owner alone. Existing files are not
/// overwritten.
pub fn create_self_signed(names: &[String], certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| TlsError(format!("cannot make a certificate for {}: {error}", names.join(", "))))?;
    write_new(key, &made.signing_key.serialize_pem())?;
    write_new(certificate, &made.cert.pem())
}

fn write_new(path: &Path, text: &str) -> Result<(), TlsError> {
    let write = || -> Result<(), Fault> {
        // Mode 0600, and only if nothing is there.
        let mut file = Disk::new(path.parent().unwrap_or(Path::new("."))).create(path)?;
        file.write(text.as_bytes())?;
        file.sync()
    };
    write().map_err(|fault| TlsError(fault.to_string()))
}

/// Whom a client of ours believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Servers whose certificate leads to one in this PEM file.
    Roots(PathBuf),
    /// Any server: only for one on this machine.
    Anybody,
}

/// The configuration of our own connections to other servers.
pub fn client_config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| TlsError(format!("cannot set up TLS: {error}")))?;
    Ok(match trust {
        Trust::Roots(path) => {
            let mut roots = RootCertStore::empty();
            // A system's bundle may hold some that are too odd to be parsed; the others count.
            let (good, _) = roots.add_parsable_certificates(certificates(path)?);
            if good == 0 {
                return Err(TlsError(format!("no certificate in {} can be a root of trust", path.display())));
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(BelieveAnybody(provider())))
            .with_no_client_auth(),
    })
}

/// Takes every certificate; signatures are still checked, so the peer has the certificate's key.
#[derive(Debug)]
struct BelieveAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("lazaret-tls-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn errors_name_the_file_and_the_remedy() {
        let dir = directory("errors");
        let (cert, key, other) = (dir.join("c.pem"), dir.join("k.pem"), dir.join("o.pem"));
        create_self_signed(&["localhost".into()], &cert, &key).unwrap();
        create_self_signed(&["localhost".into()], &dir.join("oc.pem"), &other).unwrap();
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create_self_signed(&["localhost".into()], &cert, &key).unwrap_err().0.contains("exists"));
        let tls = Tls::load(&cert, &key).unwrap();
        assert!(Tls::load(&cert, &other).unwrap_err().0.contains("does not belong"));
        assert!(Tls::load(&key, &key).unwrap_err().0.contains("holds no certificate"));
        assert!(Tls::load(&cert, &cert).unwrap_err().0.contains("BEGIN PRIVATE KEY"));
        assert!(Tls::load(dir.join("missing"), &key).unwrap_err().0.contains("missing"));
        std::fs::write(&cert, "-----BEGIN CERTIFICATE-----\n!!\n").unwrap();
        assert!(tls.reload().unwrap_err().0.contains("damaged"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
