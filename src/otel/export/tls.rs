//! The exporters' connections: whom they trust, and how they show who they are.
//!
//! The exporter itself reads none of the variables for certificates, and trusts nobody over gRPC.

use std::{error::Error, fs, io, iter, path::PathBuf, thread, time::Duration};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, Protocol, WithHttpConfig, WithTonicConfig,
    tonic_types::transport::{Certificate as GrpcCertificate, ClientTlsConfig, Identity as GrpcIdentity},
};
use reqwest::{Certificate, Identity, blocking};

use super::{
    TelemetryError, remarks,
    transport::{Setting, Signal, check_compression, setting},
};

const CERTIFICATE: Setting = setting!("CERTIFICATE");
const CLIENT_CERTIFICATE: Setting = setting!("CLIENT_CERTIFICATE");
const CLIENT_KEY: Setting = setting!("CLIENT_KEY");
const ENDPOINT: Setting = setting!("ENDPOINT");
const INSECURE: Setting = setting!("INSECURE");
const TIMEOUT: Setting = setting!("TIMEOUT");

/// A file that a variable names.
struct Pem {
    variable: &'static str,
    path: PathBuf,
    text: Vec<u8>,
}

/// What the variables say for a signal.
struct Tls {
    /// Those who are trusted, instead of those whom the system trusts.
    authorities: Option<(Pem, Vec<Certificate>)>,
    client: Option<ClientCertificate>,
}

struct ClientCertificate {
    certificate: Pem,
    key: Pem,
    identity: Identity,
}

/// The SDK's own client, but for one thing: it tells why a request did not get through.
#[derive(Debug)]
struct Client(blocking::Client);

/// Makes the connections of an exporter over HTTP as the variables say.
pub(super) fn over_http<B: WithHttpConfig>(exporter: B, signal: Signal) -> Result<B, TelemetryError> {
    check_compression(signal)?;
    let Tls { authorities, client } = Tls::from_env(signal)?;
    let is_plain = authorities.is_none() && !is_encrypted(signal, Protocol::HttpBinary);
    let timeout = timeout(signal);
    let build = move || {
        let builder = || blocking::Client::builder().timeout(timeout);
        let trusting = match authorities {
            Some((_, certificates)) => builder().tls_certs_only(certificates),
            None => builder(),
        };
        let known = match client {
            Some(client) => trusting.identity(client.identity),
            None => trusting,
        };
        match known.build() {
            // Without encryption it can send from a machine without certificates too.
            Err(_) if is_plain => builder().tls_certs_only([]).build(),
            built => built,
        }
    };
    // A blocking client must not be built in an async context, where the user may well be.
    let thread = thread::Builder::new().spawn(build).map_err(TelemetryError::Thread)?;
    let client = match thread.join() {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(no_client(&causes(&error))),
        Err(_) => return Err(no_client("it panicked")),
    };
    Ok(exporter.with_http_client(Client(client)))
}

/// Makes the connections of an exporter over gRPC as the variables say.
pub(super) fn over_grpc<B: WithTonicConfig>(exporter: B, signal: Signal) -> Result<B, TelemetryError> {
    check_compression(signal)?;
    let Tls { authorities, client } = Tls::from_env(signal)?;
    if !is_encrypted(signal, Protocol::Grpc) {
        return Ok(exporter);
    }
    let config = ClientTlsConfig::new();
    let config = match authorities {
        Some((pem, _)) => config.ca_certificate(GrpcCertificate::from_pem(pem.text)),
        None => config.with_enabled_roots(),
    };
    let config = match client {
        Some(client) => config.identity(GrpcIdentity::from_pem(client.certificate.text, client.key.text)),
        None => config,
    };
    Ok(exporter.with_tls_config(config))
}

impl Tls {
    fn from_env(signal: Signal) -> Result<Self, TelemetryError> {
        let authorities = Pem::read(&CERTIFICATE, signal)?.map(|pem| {
            let certificates = pem.authorities()?;
            Ok((pem, certificates))
        });
        let client = match (Pem::read(&CLIENT_CERTIFICATE, signal)?, Pem::read(&CLIENT_KEY, signal)?) {
            (Some(certificate), Some(key)) => Some(ClientCertificate::new(certificate, key)?),
            (None, None) => None,
            (Some(Pem { variable, .. }), None) => {
                return Err(TelemetryError::ClientCertificate { variable, missing: CLIENT_KEY.for_all() });
            }
            (None, Some(Pem { variable, .. })) => {
                return Err(TelemetryError::ClientCertificate { variable, missing: CLIENT_CERTIFICATE.for_all() });
            }
        };
        Ok(Self { authorities: authorities.transpose()?, client })
    }
}

impl ClientCertificate {
    fn new(certificate: Pem, key: Pem) -> Result<Self, TelemetryError> {
        certificate.certificates()?;
        let pem = [certificate.text.as_slice(), &key.text].join(&b'\n');
        let identity = Identity::from_pem(&pem).map_err(|error| key.unusable(causes(&error)))?;
        let checked = reqwest::Client::builder().tls_certs_only([]).identity(identity.clone()).build();
        checked.map_err(|error| key.unusable(causes(&error)))?;
        Ok(Self { certificate, key, identity })
    }
}

impl Pem {
    fn read(setting: &Setting, signal: Signal) -> Result<Option<Self>, TelemetryError> {
        let Some((variable, path)) = setting.value(signal) else { return Ok(None) };
        let path = PathBuf::from(path);
        match fs::read(&path) {
            Ok(text) => Ok(Some(Self { variable, path, text })),
            Err(source) => Err(TelemetryError::Certificate { variable, path, source }),
        }
    }

    fn certificates(&self) -> Result<Vec<Certificate>, TelemetryError> {
        let certificates = Certificate::from_pem_bundle(&self.text).map_err(|error| self.unusable(causes(&error)))?;
        if certificates.is_empty() {
            Err(self.unusable("it holds no certificate".to_owned()))
        } else {
            Ok(certificates)
        }
    }

    /// The certificates, tried out, since gRPC's client leaves out what it cannot read.
    fn authorities(&self) -> Result<Vec<Certificate>, TelemetryError> {
        let certificates = self.certificates()?;
        let checked = reqwest::Client::builder().tls_certs_only(certificates.clone()).build();
        checked.map_err(|error| self.unusable(causes(&error)))?;
        Ok(certificates)
    }

    fn unusable(&self, reason: String) -> TelemetryError {
        let source = io::Error::new(io::ErrorKind::InvalidData, reason);
        TelemetryError::Certificate { variable: self.variable, path: self.path.clone(), source }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.0.send_bytes(request).await;
        if let Err(error) = &sent {
            remarks::unreachable_because(causes(error.as_ref()));
        }
        sent
    }
}

fn no_client(reason: &str) -> TelemetryError {
    TelemetryError::Exporter(ExporterBuildError::InternalFailure(format!("no HTTP client: {reason}")))
}

/// What is behind an error; not the error's own text, in which the client puts the URL and who knows what is in that.
fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(error.source(), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Whether a signal's connections are encrypted. gRPC encrypts those to an endpoint without a scheme, unless told not to.
fn is_encrypted(signal: Signal, protocol: Protocol) -> bool {
    let Some((_, endpoint)) = ENDPOINT.value(signal) else { return false };
    match endpoint.split_once("://") {
        Some((scheme, _)) => scheme.eq_ignore_ascii_case("https"),
        None => {
            let is_insecure = INSECURE.value(signal).is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
            protocol == Protocol::Grpc && !is_insecure
        }
    }
}

/// How long a request may take, as the exporter reads it too.
fn timeout(signal: Signal) -> Duration {
    let timeout = TIMEOUT.values(signal).find_map(|(_, value)| value.parse().ok());
    timeout.map_or(OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, Duration::from_millis)
}
