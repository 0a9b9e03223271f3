//! Encrypted connections to collectors, and the other variables of a connection: headers, compression, the time limit.
//!
//! The exporters read their environment, so each test runs in a process of its own; see `child_…`.

use std::{collections::HashMap, error::Error, fs, iter, path::PathBuf, time::Duration};

use agent_runtime::{
    otel::{ContentCapture, Telemetry},
    prelude::*,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::process::{Finished, run_child};
use crate::support::sink::{Answer, ServerTls, Signal, Sink, Transport};
use crate::support::{FULL_TREE, full_flow};

const TRANSPORTS: [(Transport, &str); 2] = [(Transport::Http, "http/protobuf"), (Transport::Grpc, "grpc")];
const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// A private authority with a certificate for a server and one for a client, in files for as long as it lives.
struct Authority {
    folder: PathBuf,
    authority: String,
    server: (String, String),
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names are no problem");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key can be made");
        let authority = params.self_signed(&key).expect("it signs itself").pem();
        let issuer = Issuer::new(params, key);
        let issue = |name: &str| {
            let key = KeyPair::generate().expect("a key can be made");
            let params = CertificateParams::new([name.to_owned()]).expect("it is a name");
            (params.signed_by(&key, &issuer).expect("it signs").pem(), key.serialize_pem())
        };
        let (server, client) = (issue("127.0.0.1"), issue("client"));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let files = [("authority.pem", &authority), ("client.pem", &client.0), ("client.key", &client.1)];
        for (name, pem) in files {
            fs::write(folder.join(name), pem).expect("a file can be written");
        }
        Self { folder, authority, server }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().expect("it is UTF-8").to_owned()
    }

    fn sink(&self, transport: Transport, asks_clients: bool) -> Sink {
        let (certificate, key) = self.server.clone();
        let client_authority = asks_clients.then(|| self.authority.clone());
        Sink::with_tls(transport, &ServerTls { certificate, key, client_authority })
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).expect("the folder is there");
    }
}

/// Runs one workflow in a process of its own that exports to a collector, and says how it ended.
fn run(sink: &Sink, protocol: &str, variables: &[(&str, &str)]) -> Finished {
    let url = sink.url();
    let mut all = vec![("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
    all.extend_from_slice(variables);
    run_child("child_runs_and_reports_how_it_ended", &all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn child_runs_and_reports_how_it_ended() {
    // To the standard error stream goes what a user would see with everything on.
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let builder = Telemetry::builder("test").with_content_capture(ContentCapture::EventOnly);
    println!("{builder:?}");
    let telemetry = match builder.with_otlp_from_env().with_shutdown_timeout(Duration::from_secs(20)).build() {
        Ok(telemetry) => telemetry,
        Err(error) => return println!("\nset-up: {}", with_sources(&error)),
    };
    tracing::subscriber::set_global_default(registry().with(logs).with(telemetry.layer())).expect("it is the first");
    Runtime::new().execute(&full_flow(), "go").await.expect("the run succeeds");
    println!("{telemetry:?} {:?}", telemetry.tracer_provider());
    println!("{:?} {:?}", telemetry.meter_provider(), telemetry.logger_provider());
    match telemetry.shutdown() {
        Ok(_) => println!("\noutcome: all arrived"),
        Err(error) => {
            println!("\noutcome: {}", with_sources(&error));
            println!("{error:?}");
            let delivery = error.report().spans.delivery;
            println!("lost: {} of {}", delivery.failed, delivery.ended);
        }
    }
}

fn with_sources(error: &(dyn Error + 'static)) -> String {
    let all = iter::successors(Some(error), |&error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a process said after a word.
fn said<'a>(finished: &'a Finished, word: &str) -> &'a str {
    let line = finished.stdout.lines().find_map(|line| line.strip_prefix(word));
    line.unwrap_or_else(|| panic!("no {word:?} in {finished:#?}"))
}

#[track_caller]
fn assert_all_arrived(sink: &Sink, finished: &Finished) {
    assert_eq!(said(finished, "outcome: "), "all arrived", "{finished:#?}");
    assert_eq!(sink.spans().tree(), FULL_TREE);
    assert!(!sink.metrics().is_empty() && !sink.logs().is_empty());
}

#[track_caller]
fn assert_all_lost(sink: &Sink, finished: &Finished, because: &str) {
    let spans = FULL_TREE.lines().count();
    assert_eq!(said(finished, "lost: "), format!("{spans} of {spans}"));
    let outcome = said(finished, "outcome: ");
    assert!(outcome.contains(because), "{outcome}");
    assert!(SIGNALS.iter().all(|signal| sink.headers(*signal).is_empty()));
}

#[test]
fn the_certificate_in_the_environment_is_trusted_and_no_other() {
    let (ours, theirs) = (Authority::new("trusted"), Authority::new("not-trusted"));
    let (trusted, other) = (ours.path("authority.pem"), theirs.path("authority.pem"));
    for (transport, protocol) in TRANSPORTS {
        let sink = ours.sink(transport, false);
        assert_all_arrived(&sink, &run(&sink, protocol, &[("OTEL_EXPORTER_OTLP_CERTIFICATE", &trusted)]));

        // The system's certificates count where no variable says otherwise, and only there.
        let sink = ours.sink(transport, false);
        assert_all_arrived(&sink, &run(&sink, protocol, &[("SSL_CERT_FILE", &trusted)]));
        let sink = ours.sink(transport, false);
        let both = [("SSL_CERT_FILE", trusted.as_str()), ("OTEL_EXPORTER_OTLP_CERTIFICATE", other.as_str())];
        assert_all_lost(&sink, &run(&sink, protocol, &both), "certificate");
        assert_all_lost(&sink, &run(&sink, protocol, &[("SSL_CERT_FILE", &other)]), "certificate");
    }
}

#[test]
fn a_signals_own_certificate_goes_before_the_one_for_all() {
    let (ours, theirs) = (Authority::new("own"), Authority::new("for-all"));
    let (trusted, other) = (ours.path("authority.pem"), theirs.path("authority.pem"));
    for (transport, protocol) in TRANSPORTS {
        let sink = ours.sink(transport, false);
        let variables = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", other.as_str()),
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &trusted),
            ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", &trusted),
            ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", &trusted),
        ];
        assert_all_arrived(&sink, &run(&sink, protocol, &variables));
    }
}

#[test]
fn a_collector_that_asks_who_is_there_is_shown_the_clients_certificate() {
    let authority = Authority::new("mutual");
    let [trusted, certificate, key] = ["authority.pem", "client.pem", "client.key"].map(|name| authority.path(name));
    for (transport, protocol) in TRANSPORTS {
        let sink = authority.sink(transport, true);
        let mut variables = vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted.as_str())];
        assert_all_lost(&sink, &run(&sink, protocol, &variables), "export failed");
        variables.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate));
        variables.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key));
        assert_all_arrived(&sink, &run(&sink, protocol, &variables));
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error_that_names_the_variable_and_the_file() {
    let authority = Authority::new("unusable");
    let file = |name: &str, text: &str| {
        fs::write(authority.folder.join(name), text).expect("a file can be written");
        authority.path(name)
    };
    let key_text = KeyPair::generate().expect("a key can be made").serialize_pem();
    let [certificate, key] = ["client.pem", "client.key"].map(|name| authority.path(name));
    let other_key = file("other.key", &key_text);
    let missing = authority.path("missing.pem");
    let garbage = file("garbage.pem", "SECRET");
    let hollow = file("hollow.pem", "-----BEGIN CERTIFICATE-----\nU0VDUkVU\n-----END CERTIFICATE-----\n");
    let cut = file("cut.key", key_text.trim_end().rsplit_once('\n').expect("it has lines").0);

    let ca = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    let traces_ca = "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE";
    let (client, client_key) = ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY");
    let cases = [
        (vec![(ca, missing.as_str())], [ca, &missing, "No such file"]),
        (vec![(ca, &garbage)], [ca, &garbage, "no certificate"]),
        (vec![(ca, &hollow)], [ca, &hollow, "ertificate"]),
        (vec![(traces_ca, &garbage)], [traces_ca, &garbage, "no certificate"]),
        (vec![(client, &certificate), (client_key, &missing)], [client_key, &missing, "No such file"]),
        (vec![(client, &certificate), (client_key, &garbage)], [client_key, &garbage, "private key"]),
        (vec![(client, &certificate), (client_key, &cut)], [client_key, &cut, "PEM"]),
        (vec![(client, &certificate), (client_key, &other_key)], [client_key, &other_key, "cannot be used: "]),
        (vec![(client, &garbage), (client_key, &key)], [client, &garbage, "no certificate"]),
        (vec![(client, &certificate)], [client, client_key, "needs both"]),
        (vec![(client_key, &key)], [client_key, client, "needs both"]),
    ];
    let sink = Sink::http();
    for (_, protocol) in TRANSPORTS {
        for (variables, expected) in &cases {
            let finished = run(&sink, protocol, variables);
            let error = said(&finished, "set-up: ");
            assert!(expected.iter().all(|part| error.contains(part)), "{protocol} {variables:?}: {error}");
            assert!(!error.contains("SECRET") && !error.contains(key_text.lines().nth(1).expect("it has lines")));
        }
    }
}

/// Such machines are common: the image of a container with nothing but the program.
#[test]
fn a_machine_without_certificates_exports_without_encryption_and_says_why_not_with_it() {
    let authority = Authority::new("bare-machine");
    let nothing = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    for (transport, protocol) in TRANSPORTS {
        let sink = Sink::taking(transport);
        assert_all_arrived(&sink, &run(&sink, protocol, &nothing));

        let sink = authority.sink(transport, false);
        let finished = run(&sink, protocol, &nothing);
        let error = said(&finished, "set-up: ").to_lowercase();
        assert!(error.contains("certificates were loaded") || error.contains("no native certs found"), "{error}");

        let trusted = authority.path("authority.pem");
        let variables = [nothing[0], nothing[1], ("OTEL_EXPORTER_OTLP_CERTIFICATE", &trusted)];
        assert_all_arrived(&sink, &run(&sink, protocol, &variables));
    }
}

#[test]
fn headers_arrive_decoded_and_go_to_nobody_else() {
    let general = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=SECRET%20%3D%2C1, x-team = blue");
    let of_logs = ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "api-key=SECRET-OF-LOGS");
    for (transport, protocol) in TRANSPORTS {
        for answer in [Answer::Accept, Answer::Refuse(401)] {
            let sink = Sink::answering(transport, move |_| answer);
            let finished = run(&sink, protocol, &[general, of_logs, ("RUST_LOG", "trace")]);
            for (signal, key, team) in [
                (Signal::Traces, "SECRET =,1", Some("blue")),
                (Signal::Metrics, "SECRET =,1", Some("blue")),
                (Signal::Logs, "SECRET-OF-LOGS", None),
            ] {
                let arrived = sink.headers(signal);
                let has = |headers: &HashMap<String, String>| {
                    headers.get("api-key").map(String::as_str) == Some(key)
                        && headers.get("x-team").map(String::as_str) == team
                };
                assert!(!arrived.is_empty() && arrived.iter().all(has), "{protocol} {signal:?}: {arrived:?}");
            }
            assert!(!finished.stdout.contains("SECRET") && !finished.stderr.contains("SECRET"), "{finished:#?}");
        }
        // Nor by an exporter that cannot be set up or does not get through.
        for url in ["not a URL", &format!("http://{}", Sink::closed())] {
            let variables = [general, of_logs, ("OTEL_EXPORTER_OTLP_ENDPOINT", url)];
            let finished = run(&Sink::http(), protocol, &variables);
            assert!(!finished.stdout.contains("SECRET") && !finished.stderr.contains("SECRET"), "{finished:#?}");
        }
    }
}

#[test]
fn what_is_compressed_arrives_and_what_cannot_be_is_an_error_that_names_the_variable() {
    for (transport, protocol) in TRANSPORTS {
        let header = if transport == Transport::Http { "content-encoding" } else { "grpc-encoding" };
        for (value, expected) in [("gzip", Some("gzip")), ("none", None), ("", None)] {
            let sink = Sink::taking(transport);
            let variables = [("OTEL_EXPORTER_OTLP_COMPRESSION", value), ("RUST_LOG", "trace")];
            assert_all_arrived(&sink, &run(&sink, protocol, &variables));
            for signal in SIGNALS {
                let headers = &sink.headers(signal)[0];
                assert_eq!(headers.get(header).map(String::as_str), expected, "{protocol} {value:?}: {headers:?}");
            }
        }
        for variable in ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"] {
            let finished = run(&Sink::taking(transport), protocol, &[(variable, "zstd")]);
            assert_eq!(said(&finished, "set-up: "), format!("{variable}=\"zstd\" is not one of \"gzip\", \"none\""));
        }
    }
}

#[test]
fn a_request_takes_no_longer_than_the_environment_allows() {
    for (transport, protocol) in TRANSPORTS {
        for variables in [
            &[("OTEL_EXPORTER_OTLP_TIMEOUT", "300")][..],
            &[("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "300")],
            // What is no number is not there.
            &[("OTEL_EXPORTER_OTLP_TIMEOUT", "300"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon")],
        ] {
            let silent =
                Sink::answering(
                    transport,
                    |signal| {
                        if signal == Signal::Traces { Answer::Hang } else { Answer::Accept }
                    },
                );
            let finished = run(&silent, protocol, variables);
            // Failed by the request's own limit, and not unanswered by that of the shutdown, which is far longer.
            let all = FULL_TREE.lines().count();
            assert_eq!(said(&finished, "lost: "), format!("{all} of {all}"), "{protocol} {variables:?}");
            let outcome = said(&finished, "outcome: ").to_lowercase();
            assert!(outcome.contains("time") || outcome.contains("cancelled"), "{protocol}: {outcome}");
        }
    }
}
