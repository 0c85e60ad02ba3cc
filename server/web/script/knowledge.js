/** The knowledge pages: keys, counters, and a word before changes are lost. Everything else is forms and links. */
const by = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];

// how long a text is ---------------------------------------------------------------------------------------------------

function count(field) {
  const said = document.querySelector(`output[for="${field.id}"]`);
  if (!said) return;
  const text = field.value.trim();
  const number = 'words' in field.dataset ? text.split(/\s+/).filter(Boolean).length : [...text].length;
  said.textContent = text ? said.dataset.said.replace('{n}', number) : '';
  said.classList.toggle('over', number > Number(field.dataset.limit));
}
for (const field of all('[data-limit]')) count(field);

// what is not saved ----------------------------------------------------------------------------------------------------

const form = by('entry');
const written = () => form && JSON.stringify([...new FormData(form)]);
const before = document.querySelector('.alert, .saved:not(:has(a))') ? '' : written(); // a form that came back is not saved
let leaving = false;

document.addEventListener('input', ({ target }) => target.matches('[data-limit]') && count(target));
document.addEventListener('submit', ({ target }) => {
  if (target.method === 'post' && !target.hasAttribute('hx-post')) leaving = true;
});
addEventListener('beforeunload', (event) => {
  if (form?.querySelector('[data-save]') && !leaving && written() !== before) event.preventDefault();
});

// keys -----------------------------------------------------------------------------------------------------------------

function move(step) {
  const rows = all('.kb-row, .kb-gaps h2 ~ .buttons .button:first-child');
  const here = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, here + step))]?.focus();
}

const deeds = {
  '/': () => (by('q') ? by('q').select() || by('q').focus() : location.assign('/console/knowledge')),
  '?': () => by('help').showModal(),
  j: () => move(1),
  k: () => move(-1),
  n: () => document.querySelector('[data-key=n]')?.click(),
  t: () => (by('asked') ? by('asked').focus() : location.assign('/console/knowledge/try')),
};

document.addEventListener('keydown', (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  const writing = target.matches('input, textarea, select');
  if (ctrlKey || metaKey) {
    if (key.toLowerCase() !== 's' || !form?.querySelector('[data-save]')) return;
    event.preventDefault();
    form.requestSubmit();
  } else if (key === 'Escape' && writing) {
    event.preventDefault(); // a search keeps its words
    target.blur();
  } else if (!writing && !altKey && !document.querySelector('dialog[open]') && localStorage.getItem('onethread.keys') !== 'off') {
    const deed = deeds[key.toLowerCase()] ?? (/^[1-5]$/.test(key) && (() => document.querySelector(`nav [data-key="${key}"]`).click()));
    if (!deed) return;
    event.preventDefault();
    deed();
  }
});
document.addEventListener('click', ({ target }) => target.closest('[data-do=help]') && deeds['?']());
document.querySelector('[aria-invalid]')?.focus();
