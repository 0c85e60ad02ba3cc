/**
 * Going on by phone: a link that dials the clinic and a code, or a number at which the person wants to be called.
 *
 * The code is on the screen as well, since who sits at a computer dials on another phone, or says it.
 */
import { h, link } from './dom.js';
import { uuid } from './world.js';

const FAILED = 'This did not work. Please try again in a moment.';
const QUARTER = 900; // seconds: the steps in which a time is chosen
/** What is said when a wish was not taken, by the server's code. */
const UNCALLED = {
  number_not_valid: 'Please check this number. With its country code it looks like this: +49 151 23456789.',
  time_not_valid: 'Please choose a time in the next 30 days.',
  rate_limited: 'You have asked for several calls today. Somebody will see it.',
};

/**
 * @param {(path: string, content?: object) => Promise<object>} ask the server for something of this conversation
 * @param {() => void} changed something is to be drawn
 * @param {(id: string) => void} focus once that is done
 */
export function calling(ask, changed, focus) {
  let going; // the answer to "call us", or what went wrong
  let wanted; // `{number, at, key?, why?, sentence?, busy?}`: the form in which somebody wants to be called

  const open = () => going || wanted;
  const close = (id) => {
    going = wanted = undefined;
    changed();
    if (id) focus(id);
  };

  async function call() {
    const asked = (going = {});
    changed();
    const said = await ask('call');
    if (going !== asked) return; // it is of no use any more, or not this person's
    going = said;
    changed();
    focus('calling');
  }

  function want() {
    wanted = { number: '', at: '' };
    changed();
    focus('mine');
  }

  async function send() {
    const mine = wanted;
    if (mine.busy || !mine.number.trim()) return focus('mine');
    mine.busy = true;
    mine.key ??= uuid(); // the same wish again is the same request
    changed();
    const { why, sentence } = await ask('callback', { key: mine.key, number: mine.number.trim(), at: moment(mine.at) });
    if (wanted !== mine) return;
    Object.assign(mine, { busy: false, why, sentence });
    changed();
    focus(sentence ? 'noted' : why === 'time_not_valid' ? 'when' : 'mine');
  }

  function numberAndCode(t, press) {
    const { url, number, code, why } = going;
    return h(
      'div.box.over',
      { key: 'calling', id: 'calling', tabindex: -1, role: 'group', 'aria-label': t('Call us') },
      why && h('p.bad', { role: 'status' }, t(FAILED)),
      url && [
        h('p', {}, t('Call us, and we go on where we are now. This code shows that it is you; it is good for one call, for a quarter of an hour.')),
        link(url, t('Call {number}', { number }), 'a.chip'),
        h('p', {}, t('From another phone, dial or say the code when you are asked what you need:'), ' ', digits(code)),
      ],
      press('', t('Stay here'), () => close('call')),
    );
  }

  function form(t, press) {
    const { number, at, why, sentence, busy } = wanted;
    if (sentence) {
      return h(
        'div.box.over',
        { key: 'noted', id: 'noted', tabindex: -1, role: 'group', 'aria-label': t('Call me back') },
        h('p', { role: 'status' }, sentence),
        press('', t('Done'), () => close('callback')),
      );
    }
    const bad = why === 'time_not_valid' ? 'when' : 'mine';
    return h(
      'div.box.over',
      { key: 'wanted', role: 'group', 'aria-label': t('Call me back') },
      field(t('Your phone number'), 'mine', number, { type: 'tel', autocomplete: 'tel', maxlength: 64, dir: 'ltr' }, (value) => (wanted.number = value)),
      field(t('When, if not as soon as possible'), 'when', at, { type: 'datetime-local', step: QUARTER, max: '9999-12-31T23:45' }, (value) => (wanted.at = value)),
      h('p.bad', { id: 'uncalled', role: 'status' }, why && t(UNCALLED[why] ?? FAILED)),
      press('.chip', t('Please call me'), send, { 'aria-disabled': `${!!busy || !number.trim()}` }),
      press('', t('Stay here'), () => close('callback')),
    );

    function field(label, id, value, props, take) {
      const input = ({ target }) => {
        Object.assign(wanted, { key: undefined, why: undefined });
        take(target.value);
        changed();
      };
      const keydown = (event) => {
        if (event.key === 'Enter' && !event.isComposing) send();
      };
      const wrong = `${!!why && bad === id}`;
      return h('label.how', { key: id }, label, h('input.number', { id, value, 'aria-describedby': 'uncalled', 'aria-invalid': wrong, input, keydown, ...props }));
    }
  }

  return {
    open,
    close,

    /** What leads here; nothing where nobody can call. */
    buttons: (t, press) => [press('', t('Call us'), call, { id: 'call' }), press('', t('Call me back'), want, { id: 'callback' })],

    /** What is open of it. */
    box: (t, press) => (going ? numberAndCode(t, press) : wanted && form(t, press)),
  };
}

/** A time of this browser's clock as the server reads it; what is none is not taken there. */
const moment = (at) => (at ? new Date(at).toJSON() ?? at : undefined);

/** A code as it is read: in threes for the eye, one by one for the ear. */
const digits = (code) => [
  h('b.code', { key: 'seen', 'aria-hidden': 'true' }, code.replace(/...(?=.)/g, '$& ')),
  h('span.vh', { key: 'spoken' }, [...code].join(' ')),
];
