//! The programs that others run: `bailee-verify witness` is killed in the middle of its work, `watch` ends with a code.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::{Hash, leaf_hash};
use bailee_proof::note::{Signer, VerifierKey};
use bailee_proof::tree::{ProofError, consistency_proof, from_leaves, root_of};
use bailee_proof::witness::{AddCheckpoint, read_answer, read_size};

const SIZES: u64 = 400;

fn log() -> Signer {
    Signer::from_seed("example.com/heads", &[1; 32]).unwrap()
}

/// Two histories that part at leaf 50.
fn leaves(history: u8) -> Vec<Hash> {
    (0..SIZES).map(|i| leaf_hash(&[if i < 50 { 0 } else { history }, i as u8, (i >> 8) as u8])).collect()
}

fn request(leaves: &[Hash], old: u64, size: u64) -> (Vec<u8>, String) {
    let head =
        Checkpoint { origin: "example.com/heads".into(), size, root: root_of(&leaves[..size as usize]) };
    let leaf = |i: u64| Ok::<_, ProofError>(leaves[i as usize]);
    let proof = consistency_proof(old, size, from_leaves(leaf)).unwrap();
    let note = head.sign(&log()).unwrap();
    (AddCheckpoint { old, proof, note: note.as_bytes() }.body(), head.to_string())
}

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailee-verify"));
    command.args(args);
    command
}

fn start(folder: &Path) -> (Child, String) {
    let vkey = log().verifier().to_string();
    let (key, state) = (folder.join("key"), folder.join("state"));
    let mut child = program(&["witness", "--listen", "127.0.0.1:0", "--log", &vkey])
        .arg("--key")
        .arg(key)
        .arg("--state")
        .arg(state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    (child, address)
}

fn post(address: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let at = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let status = std::str::from_utf8(&answer[9..12]).ok()?.parse().ok()?;
    Some((status, answer[at + 4..].to_vec()))
}

fn keygen(folder: &Path) -> VerifierKey {
    let made = program(&["witness", "keygen", "--name", "witness.example/w1"])
        .arg("--key")
        .arg(folder.join("key"))
        .arg("--state")
        .arg(folder.join("state"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    VerifierKey::parse(String::from_utf8(made.stdout).unwrap().trim_end()).unwrap()
}

#[test]
fn a_witness_that_is_killed_again_and_again_never_cosigns_a_smaller_or_another_tree() {
    let folder = tempfile::tempdir().unwrap();
    let own = keygen(folder.path());
    let histories = [leaves(1), leaves(2)];
    let mut cosigned: Vec<(u64, usize)> = vec![(0, 0)];
    for round in 0..12u64 {
        let (mut child, address) = start(folder.path());
        let pid = child.id();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(15 + 9 * round));
            // SIGKILL, in whatever it does.
            child.kill().unwrap();
            child.wait().unwrap();
            pid
        });
        // Both histories ask at the same time, from the size that the witness itself says.
        let clients: Vec<_> = (0..2usize)
            .map(|history| {
                let (leaves, address, own) = (histories[history].clone(), address.clone(), own.clone());
                std::thread::spawn(move || {
                    let (mut old, mut done) = (0, Vec::new());
                    for step in 0.. {
                        let size = (old + 1 + step % 3).min(SIZES);
                        let (body, text) = request(&leaves, old, size);
                        match post(&address, &body) {
                            Some((200, lines)) => {
                                assert!(read_answer(&lines, &text, &own, u64::MAX / 2).is_ok());
                                done.push((size, history));
                                old = size;
                            }
                            Some((409, body)) => old = read_size(&body).unwrap(),
                            Some((422, _)) | None => break,
                            other => panic!("{other:?}"),
                        }
                    }
                    done
                })
            })
            .collect();
        let before = cosigned.iter().map(|(size, _)| *size).max().unwrap();
        for client in clients {
            for (size, history) in client.join().unwrap() {
                assert!(size >= before, "after {before} it cosigned {size}: rolled back");
                cosigned.push((size, history));
            }
        }
        killer.join().unwrap();
    }
    let beyond: BTreeSet<usize> = cosigned.iter().filter(|(size, _)| *size > 50).map(|(_, h)| *h).collect();
    assert!(beyond.len() == 1, "trees of {beyond:?} beyond the fork were cosigned");
    assert!(cosigned.iter().map(|(size, _)| size).max().unwrap() > &50, "the test came far enough");
}

#[test]
fn wrong_use_is_told_with_code_1_and_keys_that_others_can_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let vkey = log().verifier().to_string();
    let key = folder.path().join("key").display().to_string();
    let state = folder.path().join("state").display().to_string();
    let run = |args: &[&str]| {
        let out = program(args).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let start = ["witness", "--key", &key, "--state", &state, "--log", &vkey, "--listen", "127.0.0.1:0"];
    assert_eq!(run(&start).0, Some(1));
    keygen(folder.path());
    let twice = run(&["witness", "keygen", "--key", &key, "--state", &state, "--name", "w"]);
    assert!(twice.0 == Some(1) && twice.1.contains("File exists"), "{}", twice.1);
    std::fs::remove_dir_all(&state).unwrap();
    let lost = run(&start);
    assert!(lost.0 == Some(1) && lost.1.contains("is not the state of a witness"), "{}", lost.1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let open = run(&start);
        assert!(open.0 == Some(1) && open.1.contains("can be read by others"), "{}", open.1);
    }
    assert_eq!(run(&["witness"]).0, Some(1));
    assert_eq!(run(&["watch", "--url", "http://127.0.0.1:1"]).0, Some(1));
    let policy = folder.path().join("policy").display().to_string();
    std::fs::write(&policy, format!("log {vkey}\nquorum some\n")).unwrap();
    let memory = folder.path().join("memory").display().to_string();
    let watch =
        ["watch", "--url", "http://127.0.0.1:1/log", "--policy", &policy, "--state", &memory, "--once"];
    let bad = run(&watch);
    assert!(bad.0 == Some(1) && bad.1.contains("line 2 of the policy"), "{}", bad.1);
    std::fs::write(&policy, format!("log {vkey}\nquorum none\n")).unwrap();
    let json = program(&watch).arg("--json").output().unwrap();
    assert_eq!(json.status.code(), Some(1), "nobody answers there: could not tell");
    let round: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (round["alarms"].as_array().unwrap().len(), round["unknown"].as_array().unwrap().len()),
        (0, 1)
    );
}
