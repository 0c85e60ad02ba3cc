/** The open chat: a dialog beside the page, never in front of it. */
import { h, icon, link, linked } from './dom.js';
import { nameOf, rows, WARNING } from './messages.js';

export const CLOSE = 'M6 6l12 12M18 6 6 18';
const SEND = 'M12 19V5M5 12l7-7 7 7';
const TUNE = 'M4 7h16M4 17h16M15 4v6M9 14v6';

/**
 * The panel as it is to be now.
 * @param {ReturnType<import('./conversation.js').converse>} talk
 * @param {(english: string, values?: object) => string} t
 * @param {ReturnType<import('./times.js').times>} time
 * @param {object} is what is true of the page, `tuning`, `asking` (which of the small forms are open), `status`, `atEnd`, and
 *   what the person may do: see element.js
 */
export function panel(talk, t, time, is) {
  const { memory, clinic, stopped, floor, typist } = talk;
  const { open, opens_at, consent, hours = [] } = clinic ?? {};
  const must = talk.mustAgree();
  const ready = !must && !stopped;
  const { draft } = memory.tab;
  const over = draft.length - talk.longest;

  const press = (tag, label, click, props) => h(`button${tag}`, { key: label, click, ...props }, label);
  const round = (name, d, click, props, tag = '') => h(`button.round${tag}`, { key: name, click, title: name, ...props }, icon(d));
  const tick = (text, checked = false, change) => h('label', { key: text }, h('input', { type: 'checkbox', checked, change: ({ target }) => change(target.checked) }), text);
  const line = (text, tag = 'p', phones) => text && h(tag, { dir: 'auto', key: text }, linked(text, phones));
  const remember = tick(t('Remember me on this device'), memory.remember, talk.remember);
  const person = t('A person, please');
  const who = floor === 'staff' ? (talk.colleague ?? t('Team')) : floor === 'waiting' ? t('A person will answer') : clinic?.assistant;
  const when = open ? t('Open now') : opens_at ? t('Closed, opens {when}', { when: time.opening(opens_at, clinic.timezone) }) : t('Closed now');

  return h(
    'section',
    { id: 'panel', role: 'dialog', 'aria-labelledby': 'title', keydown: is.leave },
    h(
      'header',
      {},
      h(
        'div',
        {},
        h('h2', { id: 'title', tabindex: -1 }, clinic?.name ?? t('Chat')),
        clinic && h('p', { class: open && 'open' }, `${who} · ${when}`),
      ),
      round(t('Settings'), TUNE, () => is.show('tuning', !is.tuning), { id: 'tune', 'aria-expanded': `${!!is.tuning}` }),
      round(t('Close chat'), CLOSE, is.close),
    ),
    is.tuning && is.extra?.tuner(talk, t, is, tick, remember),
    clinic?.emergency && h('p.sos', {}, icon(WARNING), line(clinic.emergency, 'span', true)),
    h(
      'div',
      // A log by role, but silent: the announcer speaks each new message once, and history never.
      { id: 'log', role: 'log', 'aria-live': 'off', 'aria-label': t('Messages'), tabindex: 0, scroll: is.scroll },
      talk.more() ?
        press('.chip', t('Earlier messages'), talk.older)
      : clinic && h('div.intro', {}, line(clinic.greeting, 'h3'), line(clinic.disclosure), line(hours.map(time.hours).join(', '))),
      clinic && rows(talk, t, time, is, press),
      typist && h('p.typing', {}, t('{name} is typing…', { name: nameOf(typist, t, clinic) })),
    ),
    !is.atEnd && press('.chip', t('Newest messages'), is.toEnd),
    h('p.status', { role: 'status' }, is.status),
    stopped &&
      h(
        'div.box',
        { key: 'stopped' },
        stopped === 'outdated' ? t('Please reload this page.') : t('This chat is not available here.'),
        h('slot'),
      ),
    clinic &&
      must &&
      !stopped &&
      h('div.box', { key: 'consent' }, line(consent.text), remember, press('.wide', t('Agree and start'), is.agree, { id: 'agree' })),
    ready && floor === 'assistant' && press('.chip', person, () => is.choose(person, 'person')),
    ready && is.extra?.tools(t, press),
    ready &&
      h(
        'form',
        { submit: is.submit },
        is.extra?.clip(t, round),
        h('textarea', {
          id: 'write',
          value: draft,
          rows: 1, // where the browser fits it to its text (see styles.css); elsewhere it scrolls
          dir: 'auto',
          placeholder: t('Write a message'),
          'aria-label': t('Write a message'),
          'aria-invalid': `${over > 0}`,
          enterkeyhint: 'send',
          // While an input method is composing, Enter belongs to it.
          keydown: (event) => event.key === 'Enter' && !event.shiftKey && !event.isComposing && is.submit(event),
          input: ({ target }) => is.write(target.value),
        }),
        round(t('Send'), SEND, null, { type: 'submit', 'aria-disabled': `${!(draft.trim() || is.extra?.full()) || over > 0}` }, '.go'),
        h('p.bad', { role: 'status' }, over > 0 && t('{n} characters too many', { n: over })),
      ),
    h(
      'footer',
      {},
      is.asking ?
        h(
          'div.box',
          { role: 'group', 'aria-label': t('End and forget here') },
          t('Forget this conversation? It cannot be opened again.'),
          press('.wide.bad', t('Forget'), is.forget),
          press('.chip', t('Keep'), () => is.show('asking'), { id: 'keep' }),
        )
      : h(
          'div.plain',
          {},
          press('', t('End and forget here'), () => is.show('asking', true), { id: 'forget' }),
          consent && link(consent.privacy_url, t('Privacy')),
        ),
    ),
  );
}
