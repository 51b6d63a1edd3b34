//! Uses of KMS keys through the gate on one core, against the bare work of the key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bailee_benches::{figure, per_second, ratio};
use bailee_crypto::cmk::{Cmk, generate};
use bailee_rooms::keys::cmk::{
    Context, CreateKey, Decrypt, Encrypt, Key, KeyAct, KeyOrigin, Sign, SignAlgorithm, Spec, Usage,
};
use bailee_testkit::{Engine, TestHouse, TestTenant, runtime};
use bailee_types::SecretBytes;

const SLICE: Duration = Duration::from_secs(2);
const PLAIN: [u8; 32] = [7; 32];

async fn key(t: &TestHouse, acme: &TestTenant, spec: Spec, usage: Usage) -> Key {
    let make = CreateKey {
        spec,
        usage,
        origin: KeyOrigin::Own,
        description: String::new(),
        rotation_s: None,
        tags: BTreeMap::new(),
        lies_at: None,
        policy: None,
    };
    t.house.perform(acme.root.clone(), make.of(&acme.id, &t.house)).await.unwrap()
}

/// Acts per second, one after the other.
async fn rate<A: KeyAct>(t: &TestHouse, acme: &TestTenant, mut make: impl FnMut() -> A) -> f64 {
    let (start, mut n) = (Instant::now(), 0u32);
    while start.elapsed() < SLICE {
        for _ in 0..20 {
            t.house.perform(acme.root.clone(), make().of(&acme.id, &t.house)).await.unwrap();
            n += 1;
        }
    }
    f64::from(n) / start.elapsed().as_secs_f64()
}

fn main() {
    let t = TestHouse::new(Engine::Sqlite);
    let acme = runtime().block_on(t.tenant("acme"));
    let one_core = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    one_core.block_on(async {
        for spec in [Spec::Aes256, Spec::Sm4] {
            let key = key(&t, &acme, spec, Usage::Encrypt).await.id;
            let encrypt = || Encrypt {
                key: key.clone(),
                plaintext: SecretBytes::new(PLAIN.to_vec()),
                context: Context::new(),
            };
            let before = t.house.head(&acme.id).await.unwrap().records;
            let sealed = rate(&t, &acme, encrypt).await;
            let blob = t.house.perform(acme.root.clone(), encrypt().of(&acme.id, &t.house)).await.unwrap();
            let opened = rate(&t, &acme, || Decrypt { blob: blob.clone(), context: Context::new() }).await;
            assert_eq!(t.house.head(&acme.id).await.unwrap().records, before, "a use writes nothing");
            let bare = Cmk::open(spec, &generate(spec).unwrap()).unwrap();
            let work = per_second(|| {
                std::hint::black_box(bare.seal(b"context", &PLAIN).unwrap());
            });
            let name = spec.name();
            ratio(
                &format!("Encrypt 32 bytes, {name}, through the gate"),
                sealed,
                "the key alone",
                work,
                "/s",
                0.0,
            );
            figure(&format!("  Encrypt against the aim of 10,000 /s, {name}"), sealed / 10_000.0, "×");
            figure(&format!("  Decrypt, {name}"), opened, "/s");
        }
        for (spec, algorithm) in [
            (Spec::EcP256, SignAlgorithm::EcdsaSha256),
            (Spec::EcSm2, SignAlgorithm::Sm2),
            (Spec::Rsa2048, SignAlgorithm::PssSha256),
        ] {
            let key = key(&t, &acme, spec, Usage::Sign).await;
            let sign = || Sign {
                key: key.id.clone(),
                version: key.primary.clone(),
                algorithm,
                digest: PLAIN.to_vec(),
            };
            figure(&format!("  Sign, {}", spec.name()), rate(&t, &acme, sign).await, "/s");
        }
    });
}
