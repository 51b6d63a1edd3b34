// Passkeys: asks the server what to ask the device, asks it, and sends the answer with the form it belongs to.
'use strict';
for (const form of document.querySelectorAll('form[data-passkey]')) {
  const said = form.querySelector('[data-said]');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      // Who is not signed in yet has no token.
      const csrf = form.querySelector('input[name=csrf]')?.value || '';
      const asked = await fetch(form.dataset.begin, {
        method: 'POST', body: new URLSearchParams({ csrf }), headers: { accept: 'application/json' },
      });
      const options = await asked.json();
      if (!asked.ok) throw new Error(options.error);
      const key = options.publicKey || options;
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
