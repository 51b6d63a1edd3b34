// Passkeys: asks the server what to ask the device, asks it, and sends the answer with the form it belongs to.
'use strict';
// The bytes that a passkey signs for a text: its hash. What is on the page is what is signed, and what is sent.
async function signs(text, options) {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  const challenge = btoa(String.fromCharCode(...hash)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  if (challenge !== options.challenge) throw new Error('The text on this page is not the one that the server made; load it again.');
  return text;
}
async function asked(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options);
  // Who is not signed in yet has no token.
  const csrf = form.querySelector('input[name=csrf]')?.value || '';
  const answer = await fetch(form.dataset.begin, {
    method: 'POST', body: new URLSearchParams({ csrf }), headers: { accept: 'application/json' },
  });
  const options = await answer.json();
  if (!answer.ok) throw new Error(options.error);
  return options.publicKey || options;
}
for (const form of document.querySelectorAll('form[data-passkey]')) {
  const said = form.querySelector('[data-said]');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      const key = await asked(form);
      if (form.dataset.statement) {
        const shown = document.querySelector(form.dataset.statement).textContent;
        form.querySelector('input[name=statement]').value = await signs(shown, key);
      }
      const credential = form.dataset.passkey === 'bind'
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(key) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(key) });
      form.querySelector('input[name=response]').value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch (e) {
      said.textContent = e.message || String(e);
      said.hidden = false;
    }
  });
}
