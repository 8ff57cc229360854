//! Sockets that were granted, and what stays closed without a grant: the HTTP workload as guest.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;

use wamr_plan::Plan;

use crate::support::{Handover, Running, compile, error_text, module, plan, run};

fn server() -> Option<&'static [u8]> {
    static SERVER: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vm-images/workloads/http.c");
    SERVER.get_or_init(|| compile(&source)).as_deref()
}

/// A port that nobody used a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a network");
    listener.local_addr().expect("it is bound").port()
}

fn grant(networks: &[&str], port: u16) -> Plan {
    let socket_networks = networks.iter().map(|network| network.as_bytes().to_vec()).collect();
    Plan { env: vec![format!("PORT={port}").into_bytes()], socket_networks, ..plan() }
}

fn request(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the guest listens");
    stream.write_all(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n").expect("the guest reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the guest closes the connection");
    answer
}

#[test]
fn a_server_answers_on_a_granted_network() {
    let Some(server) = server() else { return };
    let port = free_port();
    let handover = Handover::new(server, grant(&["0.0.0.0/0"], port));
    let mut command = handover.command(&[]);
    let mut running = Running(command.stdout(Stdio::piped()).spawn().expect("the runner starts"));
    let mut line = String::new();
    let stdout = running.0.stdout.as_mut().expect("a pipe was asked for");
    BufReader::new(stdout).read_line(&mut line).expect("the guest writes");
    assert!(line.starts_with("start_ns="), "{line}");
    for _ in 0..3 {
        let answer = request(port);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"));
    }
    // A client that goes away without a word is not the end of the server.
    drop(TcpStream::connect(("127.0.0.1", port)).expect("the guest listens"));
    assert!(request(port).ends_with("ok\n"));
}

#[test]
fn a_server_without_a_grant_is_refused() {
    let Some(server) = server() else { return };
    for networks in [&[][..], &["10.11.12.0/24"], &["::/0"]] {
        let output = run(server, grant(networks, free_port()));
        assert_eq!(output.status.code(), Some(1), "{networks:?}: {}", error_text(&output));
        let text = error_text(&output);
        assert!(text.contains("Permission denied"), "{networks:?}: {text}");
    }
}

/// The kernel would bind a listening socket that was not bound before to all addresses.
#[test]
fn listening_without_an_address_is_refused() {
    const ACCES: i32 = 2;
    const INVAL: i32 = 28;
    let guest = module("listen", &[]);
    for (networks, want) in [(&["127.0.0.0/8"][..], INVAL), (&[], ACCES)] {
        let output = run(&guest, grant(networks, 0));
        assert_eq!(output.status.code(), Some(want), "{networks:?}: {}", error_text(&output));
    }
}

#[test]
fn only_granted_names_are_resolved() {
    const ACCES: i32 = 2;
    let guest = module("resolve", &[]);
    let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    for (list, refused) in [
        (&[][..], true),
        (&["example.com"], true),
        (&["*.local"], true),
        (&["localhost"], false),
        (&["*host"], false),
        (&["*"], false),
    ] {
        let plan = Plan { socket_names: names(list), ..grant(&["127.0.0.0/8"], 0) };
        let output = run(&guest, plan);
        let status = output.status.code();
        assert_eq!(status == Some(ACCES), refused, "{list:?}: {status:?} {}", error_text(&output));
    }
}

fn strings(list: &[&str]) -> Vec<Vec<u8>> {
    list.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn only_granted_networks_are_reached() {
    const ACCES: i32 = 2;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback interface");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let guest = module("connect", &[("PORT", &port)]);
    for (networks, want) in [(&["127.0.0.0/8"][..], 0), (&["10.0.0.0/8"], ACCES), (&[], ACCES)] {
        let output = run(&guest, Plan { socket_networks: strings(networks), ..plan() });
        assert_eq!(output.status.code(), Some(want), "{networks:?}: {}", error_text(&output));
    }
    let socket_networks = strings(&["10.0.0.0"]);
    let output = run(&guest, Plan { socket_networks, ..plan() });
    let text = error_text(&output);
    assert_eq!(output.status.code(), Some(126), "{text}");
    assert!(text.contains("must be in the format of ADDRESS/MASK"), "{text}");
}
