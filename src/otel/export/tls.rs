//! Whom the exporters' connections trust, and how they show who they are.
//!
//! The exporter itself reads none of the variables for certificates, and trusts nobody over gRPC.

use std::{fs, io, path::PathBuf};

#[cfg(feature = "otlp-grpc")]
use opentelemetry_otlp::tonic_types::transport::{
    Certificate as GrpcCertificate, ClientTlsConfig, Identity as GrpcIdentity,
};
use reqwest::{Certificate, Identity};

use super::{TelemetrySetupError, error::causes};
use crate::environment::telemetry::{FOR_ALL_CLIENT_CERTIFICATE, FOR_ALL_CLIENT_KEY, OtlpSettings, Value};

/// What the variables say for a signal.
pub(super) struct Tls {
    /// Those who are trusted, instead of those whom the system trusts.
    pub(super) authorities: Option<Authorities>,
    pub(super) client: Option<Client>,
}

/// Certificates, and the text that they were read from.
pub(super) struct Authorities {
    #[cfg(feature = "otlp-grpc")]
    text: Vec<u8>,
    pub(super) certificates: Vec<Certificate>,
}

/// A client's certificate and its key, and the texts that they were read from.
pub(super) struct Client {
    #[cfg(feature = "otlp-grpc")]
    texts: (Vec<u8>, Vec<u8>),
    pub(super) identity: Identity,
}

/// A file that a variable names.
struct Pem {
    variable: &'static str,
    path: PathBuf,
    text: Vec<u8>,
}

impl Tls {
    /// Reads the files that the settings name.
    pub(super) fn read(settings: &OtlpSettings) -> Result<Self, TelemetrySetupError> {
        let read = |file: &Option<Value<PathBuf>>| file.as_ref().map(Pem::read).transpose();
        let authorities = read(&settings.certificate)?.map(Authorities::new).transpose()?;
        let client = match (read(&settings.client_certificate)?, read(&settings.client_key)?) {
            (Some(certificate), Some(key)) => Some(Client::new(certificate, key)?),
            (None, None) => None,
            (Some(Pem { variable, .. }), None) => {
                return Err(TelemetrySetupError::ClientCertificate { variable, missing: FOR_ALL_CLIENT_KEY });
            }
            (None, Some(Pem { variable, .. })) => {
                return Err(TelemetrySetupError::ClientCertificate { variable, missing: FOR_ALL_CLIENT_CERTIFICATE });
            }
        };
        Ok(Self { authorities, client })
    }

    /// The same for gRPC's client.
    #[cfg(feature = "otlp-grpc")]
    pub(super) fn for_grpc(self) -> ClientTlsConfig {
        let config = ClientTlsConfig::new();
        let config = match self.authorities {
            Some(authorities) => config.ca_certificate(GrpcCertificate::from_pem(authorities.text)),
            None => config.with_enabled_roots(),
        };
        match self.client {
            Some(Client { texts: (certificate, key), .. }) => config.identity(GrpcIdentity::from_pem(certificate, key)),
            None => config,
        }
    }
}

impl Authorities {
    /// Takes certificates and tries them out, since gRPC's client leaves out what it cannot read.
    #[cfg_attr(
        not(feature = "otlp-grpc"),
        expect(clippy::needless_pass_by_value, reason = "the client for gRPC takes the text")
    )]
    fn new(pem: Pem) -> Result<Self, TelemetrySetupError> {
        let certificates = pem.certificates()?;
        let checked = reqwest::Client::builder().tls_certs_only(certificates.clone()).build();
        checked.map_err(|error| pem.unusable(causes(&error)))?;
        Ok(Self {
            #[cfg(feature = "otlp-grpc")]
            text: pem.text,
            certificates,
        })
    }
}

impl Client {
    #[cfg_attr(
        not(feature = "otlp-grpc"),
        expect(clippy::needless_pass_by_value, reason = "the client for gRPC takes the text")
    )]
    fn new(certificate: Pem, key: Pem) -> Result<Self, TelemetrySetupError> {
        certificate.certificates()?;
        let pem = [certificate.text.as_slice(), &key.text].join(&b'\n');
        let identity = Identity::from_pem(&pem).map_err(|error| key.unusable(causes(&error)))?;
        let checked = reqwest::Client::builder().tls_certs_only([]).identity(identity.clone()).build();
        checked.map_err(|error| key.unusable(causes(&error)))?;
        Ok(Self {
            #[cfg(feature = "otlp-grpc")]
            texts: (certificate.text, key.text),
            identity,
        })
    }
}

impl Pem {
    fn read(file: &Value<PathBuf>) -> Result<Self, TelemetrySetupError> {
        let Value { variable, value: path } = file;
        match fs::read(path) {
            Ok(text) => Ok(Self { variable, path: path.clone(), text }),
            Err(source) => Err(TelemetrySetupError::Certificate { variable, path: path.clone(), source }),
        }
    }

    fn certificates(&self) -> Result<Vec<Certificate>, TelemetrySetupError> {
        let certificates = Certificate::from_pem_bundle(&self.text).map_err(|error| self.unusable(causes(&error)))?;
        if certificates.is_empty() {
            Err(self.unusable("it holds no certificate".to_owned()))
        } else {
            Ok(certificates)
        }
    }

    fn unusable(&self, reason: String) -> TelemetrySetupError {
        let source = io::Error::new(io::ErrorKind::InvalidData, reason);
        TelemetrySetupError::Certificate { variable: self.variable, path: self.path.clone(), source }
    }
}
