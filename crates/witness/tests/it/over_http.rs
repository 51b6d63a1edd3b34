//! Over the network: races, limits, keep-alive, three witnesses of which one is down and one lies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bailee_proof::note::cosign;
use bailee_proof::policy::Policy;
use bailee_proof::witness::{monitoring_path, read_answer, read_size};
use bailee_witness::Limits;

use crate::site::{NOW, Site};
use crate::witnesses::{create, listen, open};

fn site() -> Site {
    let mut site = Site::new("example.com/heads", 1);
    site.entries = (0..7).map(|i| format!("leaf {i}").into_bytes()).collect();
    site
}

fn post(stream: &mut TcpStream, body: &[u8]) -> (u16, Vec<u8>) {
    let head = format!("POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    answer(stream)
}

fn answer(stream: &mut TcpStream) -> (u16, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            return (0, head);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length =
        head.split("content-length: ").nth(1).map_or(0, |l| l.split('\r').next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, body)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_racing_requests_for_two_histories_one_history_wins() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), "w1", false);
    let honest = site();
    let mut forked = site();
    forked.entries[6] = b"another end".to_vec();
    let witness = open(folder.path(), "w1", &[honest.signer().verifier().clone()]);
    let mut start = site();
    start.entries.truncate(3);
    assert_eq!(witness.add_checkpoint(&start.request(0), NOW).status, 200);
    let address = listen(witness, Limits::default()).await;
    let clients: Vec<_> = (0..200)
        .map(|n| {
            let body = if n % 2 == 0 { honest.request(3) } else { forked.request(3) };
            std::thread::spawn(move || (n % 2, post(&mut connect(address), &body)))
        })
        .collect();
    let mut cosigned = Vec::new();
    let mut refused = 0;
    for client in clients {
        match tokio::task::spawn_blocking(|| client.join().unwrap()).await.unwrap() {
            (history, (200, _)) => cosigned.push(history),
            (_, (409, body)) => {
                assert_eq!(read_size(&body), Some(7));
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((cosigned.len(), refused), (1, 199), "one request saw the old size");
    // And the loser's history is refused from now on.
    let loser = if cosigned[0] == 0 { &forked } else { &honest };
    let body = loser.request(7);
    let (status, _) = tokio::task::spawn_blocking(move || post(&mut connect(address), &body)).await.unwrap();
    assert_eq!(status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept_bodies_bounded_and_the_slow_are_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let own = create(folder.path(), "w1", false);
    let site = site();
    let witness = open(folder.path(), "w1", &[site.signer().verifier().clone()]);
    let limits =
        Limits { head: Duration::from_millis(700), body: Duration::from_millis(700), ..Limits::default() };
    let address = listen(witness, limits).await;
    tokio::task::spawn_blocking(move || {
        let mut kept = connect(address);
        let (status, body) = post(&mut kept, &site.request(0));
        assert_eq!(status, 200);
        assert!(read_answer(&body, &site.checkpoint().to_string(), &own[0], NOW).is_ok());
        assert_eq!(post(&mut kept, &site.request(0)), (409, b"7\n".to_vec()));
        kept.write_all(
            format!("GET /{} HTTP/1.1\r\nHost: w\r\n\r\n", monitoring_path("example.com/heads")).as_bytes(),
        )
        .unwrap();
        let (status, body) = answer(&mut kept);
        assert!(status == 200 && body.starts_with(b"example.com/heads\n7\n"));
        for (request, wanted) in [
            ("GET /add-checkpoint HTTP/1.1\r\nHost: w\r\n\r\n", 405),
            ("GET /../../etc/passwd/checkpoint HTTP/1.1\r\nHost: w\r\n\r\n", 404),
            ("PUT /x HTTP/1.1\r\nHost: w\r\nContent-Length: 0\r\n\r\n", 404),
        ] {
            kept.write_all(request.as_bytes()).unwrap();
            assert_eq!(answer(&mut kept).0, wanted, "{request}");
        }
        let mut large = connect(address);
        large
            .write_all(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 999999999\r\n\r\n")
            .unwrap();
        assert_eq!(answer(&mut large).0, 413);
        let mut slow = connect(address);
        slow.write_all(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold")
            .unwrap();
        assert_eq!(answer(&mut slow).0, 408);
        let mut silent = connect(address);
        silent.write_all(b"POST /add-ch").unwrap();
        assert!(matches!(answer(&mut silent).0, 0 | 408), "the connection is closed");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_witnesses_one_may_be_down_and_one_may_lie() {
    let folder = tempfile::tempdir().unwrap();
    let site = site();
    let log = site.signer().verifier().clone();
    let keys: Vec<_> = ["w1", "w2", "w3"].map(|w| create(folder.path(), w, false).remove(0)).into();
    let policy = |k: usize| {
        let mut text = format!("log {log}\n");
        for (n, key) in keys.iter().enumerate() {
            text.push_str(&format!("witness w{} {key}\n", n + 1));
        }
        text.push_str(&format!("group g {k} w1 w2 w3\nquorum g\n"));
        Policy::parse(text.as_bytes()).unwrap()
    };
    let honest = listen(open(folder.path(), "w1", std::slice::from_ref(&log)), Limits::default()).await;
    let text = site.checkpoint().to_string();
    let body = site.request(0);
    // The lying one signs what it likes and dates it as it likes; the third one does not answer.
    let liar = open(folder.path(), "w2", std::slice::from_ref(&log));
    let lies = liar.add_checkpoint(&body, NOW + 10_000).body;
    let (status, good) =
        tokio::task::spawn_blocking(move || post(&mut connect(honest), &body)).await.unwrap();
    assert_eq!(status, 200);
    let (line, _) = read_answer(&good, &text, &keys[0], NOW).unwrap();
    assert!(read_answer(&lies, &text, &keys[1], NOW).is_err(), "a time in the future");
    let other = bailee_proof::note::Signer::witness_from_seed("w2", &[7; 32]).unwrap();
    let forged = cosign(&text, &other, NOW).unwrap();
    assert!(read_answer(forged.as_bytes(), &text, &keys[1], NOW).is_err(), "another key");
    let note = site.note() + &line;
    assert!(policy(1).accept(note.as_bytes(), NOW).is_ok());
    let refusal = policy(2).accept((note.clone() + &forged).as_bytes(), NOW).unwrap_err();
    assert_eq!(refusal.to_string(), "the policy's quorum is not met: cosigned by w1; missing are w2, w3");
    // A lie that got into the note does not count either.
    let lie = String::from_utf8(lies).unwrap();
    assert!(policy(2).accept((note + &lie).as_bytes(), NOW).is_err());
}
