// Second oracle of the policy language: reads the lines of `cargo run -p bailee-policy --example oracle_cases`, asks
// @cloud-copilot/iam-simulate the same, and says where the answers differ. Ends with 1 when one does.
//
//   mkdir -p target/oracles && npm install --no-save --prefix target/oracles @cloud-copilot/iam-simulate@0.1.173
//   cargo run -q -p bailee-policy --example oracle_cases 20000 | (cd target/oracles && node ../../tests/oracles/iam_simulate.mjs)
//
// The package is run as it is and is no part of this project (AGPL). It is found from the folder this is started in.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.cwd()}/`);
const { runUnsafeSimulation } = require('@cloud-copilot/iam-simulate');
const { createValidatedPolicy } = require('@cloud-copilot/iam-policy');

const SHOWN_MAX = 10;
const counts = {};
let differ = 0;
let total = 0;
const started = Date.now();

for await (const line of createInterface({ input: process.stdin })) {
  const { ours, identity, resource, request } = JSON.parse(line);
  const theirs = runUnsafeSimulation(
    {
      request,
      identityPolicies: [{ name: 'own', policy: identity }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      // Named, because a resource policy without a name is not expected there.
      resourcePolicy: resource ? createValidatedPolicy(resource, () => [], { name: 'open' }) : undefined,
    },
    {},
  );
  total += 1;
  counts[ours] = (counts[ours] ?? 0) + 1;
  if (theirs !== ours) {
    differ += 1;
    if (differ <= SHOWN_MAX) console.log(`ours ${ours}, theirs ${theirs}: ${line}`);
  }
}

const seconds = ((Date.now() - started) / 1000).toFixed(1);
console.log(`${total} cases against iam-simulate in ${seconds} s: ${JSON.stringify(counts)}; ${differ} differ`);
process.exit(differ > 0 || total === 0 ? 1 : 0);
