// The page's own part: asks for credentials, which stay in memory, and shows the list that poll.js keeps up to date.
import { poll } from './poll.js';

const form = document.querySelector('form');
const body = document.querySelector('tbody');
const state = document.querySelector('output');
let polling = new AbortController();

// Served beside rungate, as examples/ingress does, the address is that of the page.
form.elements.url.value = new URLSearchParams(location.search).get('rungate') ?? location.origin;

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  polling.abort();
  polling = new AbortController();
  const { signal } = polling;
  const { url, username, password } = form.elements;
  say('asking');
  try {
    await poll({
      url: url.value,
      username: username.value,
      password: password.value,
      signal,
      show: (list) => show(list.items),
      trouble: (sentence) => say(sentence === undefined ? 'live' : `trying again: ${sentence}`),
    });
  } catch (error) {
    say(error.message);
  }
});

/** Texts of others are put in as text: nothing of a run's name or message is taken for HTML. */
function show(runs) {
  body.replaceChildren(
    ...runs.map(({ namespace, name, pipeline = '', phase, created = '' }) => {
      const row = document.createElement('tr');
      row.dataset.phase = phase;
      for (const text of [namespace, name, pipeline, phase, created]) {
        row.append(Object.assign(document.createElement('td'), { textContent: text }));
      }
      return row;
    }),
  );
}

function say(text) {
  state.textContent = text;
}
