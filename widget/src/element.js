/**
 * `<onethread-chat site="demo">`: the button on the page, and what belongs to the page rather than to the panel.
 *
 * Attributes: `site`; `server` (its address without a slash at the end; else where this script came from); `lang`; `dir`; `position` (`end` or `start`); `theme` (`light`
 * or `dark`, else as the device likes it); `brand` (any CSS colour). Its children are shown where there is no script, and
 * where the chat cannot be had.
 *
 * Methods: `open()`, `close()`, `language(tag)`, `logout()`, `identify(token)`, `on(event, listener)`.
 * Events: `open`, `close`, `message`, `unread`, `state`, `error`.
 */
import { pageTies, tie } from './connection.js';
import { byPerson, converse } from './conversation.js';
import { doorOf, refusal } from './door.js';
import { h, icon, patch } from './dom.js';
import { memoryOf } from './memory.js';
import { nameOf } from './messages.js';
import { CLOSE, panel } from './panel.js';
import { direction, learn, speech } from './strings.js';
import styles from './styles.css';
import { parse, readableOn, textOn } from './theme.js';
import { times } from './times.js';
import { attempt, uuid } from './world.js';

const CHAT = 'M4 5h16v11H9l-5 4zM8 9h8M8 12h5';
const NEAR = 80; // px from the end at which a reader counts as being there
const PATIENCE = 1_500; // ms before a cut is worth mentioning
const SPOKEN = 10_000; // ms after which an announcement is taken out of the page again

export class OnethreadChat extends HTMLElement {
  static observedAttributes = ['site', 'server', 'lang', 'dir', 'theme', 'brand'];

  /** Where this script came from; set by index.js. */
  static server;

  constructor() {
    super();
    Object.assign(this, chatOf(this));
  }

  connectedCallback() {
    this.appear();
  }

  disconnectedCallback() {
    this.vanish();
  }

  attributeChangedCallback(name, before, after) {
    this.turn(name, after);
  }
}

function chatOf(host) {
  // First of all: a browser from before constructed sheets stops here, and shows what the page put inside the element.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  const root = host.attachShadow({ mode: 'open' });
  root.adoptedStyleSheets = [sheet];
  const told = {}; // what listeners were last told
  let server;
  let talk;
  let spoken; // the language whose words are here
  let t = speech('en');
  let time;
  let untie;
  let drawing;
  let away; // since when the line is down
  let notice;
  root.addEventListener('focusout', left);

  /** What is true of the page (`opened`, `tuning`, `asking`, `atEnd`, `status`), and what the person may do. */
  const is = {
    close,
    choose(text, choice, files) {
      notice = '';
      is.atEnd = true;
      talk.say(text, choice, files);
      focus();
    },
    retry(key) {
      talk.queue.retry(key);
      focus();
    },
    discard(key) {
      const text = talk.queue.discard(key);
      if (text && !talk.memory.tab.draft) is.write(text); // the words may be worth changing
      focus();
    },
    /** Opens or closes one of the small forms. */
    show(form, open) {
      is[form] = open;
      focus(form === 'tuning' ? 'tune' : open ? 'keep' : 'forget');
    },
    sound(on) {
      talk.memory.learn({ sound: on });
      if (on) is.extra.ring(); // lets the person hear it, and lets the browser allow it
    },
    scroll({ target }) {
      if (target.scrollTop < NEAR) talk.older();
      is.atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < NEAR;
      soon();
    },
    toEnd() {
      is.atEnd = true;
      focus();
    },
    agree() {
      notice = '';
      talk.agree();
      focus();
    },
    write(text) {
      talk.memory.note({ draft: text });
      talk.typing(Boolean(text.trim()));
      soon();
    },
    submit(event) {
      event.preventDefault();
      const text = talk.memory.tab.draft.trim();
      if (text.length > talk.longest) return;
      const files = is.extra?.take();
      if (!text && !files) return;
      is.write('');
      is.choose(text, undefined, files);
    },
    /** @param {Event} _ what asked for it @param {string} done what is said then */
    async forget(_, done = t('Forgotten. Nothing is left here.')) {
      is.asking = false;
      const reached = await talk.forget();
      notice = reached ? done : t('Forgotten here. The clinic could not be reached.');
      is.toEnd();
    },
    leave({ key, isComposing }) {
      if (key !== 'Escape' || isComposing) return;
      if (is.asking) is.show('asking');
      else if (is.tuning) is.show('tuning');
      else close();
    },
  };

  return {
    appear,
    vanish,
    turn,
    /** Opens the chat and puts the focus into it. */
    open: () => open(true),
    /** Closes the chat; the focus returns to the button if it was inside. */
    close,
    /** Goes on in another language; the conversation stays. */
    language: async (tag) => there().speak(tag),
    /** Ends the conversation here: nothing of it stays on this device. */
    logout: async () => there().forget(),
    /** Says who has signed in: a token that the page's server has made, or what gives one. Kept back until they agree. */
    identify: (by) =>
      new Promise((yes, no) => {
        there().proof = { by, yes, no };
        if (talk.memory.agreed) more(); // else when the chat is opened
      }),
    /** Calls `listener(detail)` for every such event; returns what ends that. */
    on(type, listener) {
      if (!/^(open|close|message|unread|state|error)$/.test(type)) throw refusal('unknown_event');
      return tie([[host, type, ({ detail }) => listener(detail)]]);
    },
  };

  function appear() {
    if (untie) return;
    talk ??= begin();
    if (!talk) return;
    const { memory, line } = talk;
    untie = tie([
      ...pageTies(line),
      [window, 'storage', (event) => memory.elsewhere(event) && talk.drop()],
      [document, 'visibilitychange', soon],
      [window, 'online', soon],
      [window, 'offline', soon],
      [matchMedia('(prefers-color-scheme:dark)'), 'change', soon],
      [window.visualViewport, 'resize', soon],
      [window.visualViewport, 'scroll', soon],
    ]);
    if (memory.agreed) talk.start();
    if (location.hash === '#onethread' || (memory.agreed && memory.tab.open)) open(); // a link may ask for it
    draw();
  }

  function vanish() {
    untie?.();
    untie = talk?.rest();
    retitle(0);
  }

  function turn(name, value) {
    if (name === 'lang') talk?.speak(value);
    else if (!talk && host.isConnected) appear(); // a framework may say the site later
    else soon();
  }

  function begin() {
    const site = host.getAttribute('site');
    server = host.getAttribute('server') ?? OnethreadChat.server;
    if (!site || !server) return void tell('error', { code: 'no_site' });
    const memory = memoryOf(`onethread:${server}:${site}:`, {
      session: () => sessionStorage,
      local: () => localStorage,
      locks: navigator.locks,
      id: uuid(),
    });
    const error = (code) => {
      tell('error', { code });
      if (code === 'outdated') reloadOnce();
    };
    return converse({ server, site, memory, door: doorOf(server), wish, on: { changed: soon, message, error } });
  }

  function wish() {
    return host.lang || document.documentElement.lang || navigator.language;
  }

  /** The conversation; without one nothing can be asked of it. */
  function there() {
    if (talk) return talk;
    throw refusal('no_site');
  }

  /** The second file, again if it could not be had. */
  function more() {
    import(`${server}/widget/v1/more.js?${BUILD}`).then(
      (file) => {
        is.extra ??= file.default(BUILD, root, talk, soon);
        soon();
      },
      () => {}, // without it people write and read all the same
    );
  }

  async function open(moving) {
    there();
    if (!is.opened) {
      is.opened = is.atEnd = true;
      talk.memory.note({ open: true });
      talk.start();
      await speak(talk.language);
      tell('open');
      more();
    }
    if (moving) focus();
  }

  function close() {
    if (root.activeElement && is.opened) root.getElementById('launcher').focus();
    shut();
  }

  function shut() {
    if (!is.opened) return;
    is.opened = false;
    talk.memory.note({ open: false });
    draw();
    tell('close');
  }

  /** Puts the focus where the person goes on. */
  function focus(id) {
    draw();
    for (const one of [id, 'write', 'agree', 'title']) {
      const node = root.getElementById(one);
      if (node) return node.focus();
    }
  }

  /** Many changes, one drawing. */
  function soon() {
    if (drawing) return;
    drawing = true;
    queueMicrotask(() => {
      drawing = false;
      if (untie) draw();
    });
  }

  function draw() {
    const { language } = talk;
    const unread = talk.unread().length;
    const shown = is.opened && spoken;
    if (shown && language !== spoken) speak(language);
    const speaks = spoken ?? language;
    const before = root.getElementById('log');
    const height = before?.scrollHeight;
    const first = talk.line.log.first;
    is.status = status();
    const name = t('Chat'); // a word that most languages know, so that it is right even before theirs is loaded
    const whole = h(
      'div',
      { class: shown ? 'frame opened' : 'frame', lang: speaks, dir: host.dir || direction(speaks) },
      shown && panel(talk, t, time, is),
      h(
        'button',
        {
          id: 'launcher',
          'aria-expanded': `${!!is.opened}`,
          'aria-label': unread ? `${name} (${unread})` : name,
          click: is.opened ? close : () => open(true),
        },
        icon(shown ? CLOSE : CHAT),
        h('span.badge', { 'aria-hidden': 'true' }, unread && !is.opened && `${unread}`),
      ),
      h(
        'div.vh',
        { 'aria-live': 'polite' },
        talk.entries.filter(({ news }) => news).map(({ news, seq, lang }) => h('p', { key: seq, lang, dir: 'auto' }, news)),
      ),
    );
    patch(root, [whole]);
    const log = root.getElementById('log');
    if (log) {
      // To the end with who was there; and who reads higher up stays with what he reads when older messages come above.
      if (is.atEnd) log.scrollTop = talk.entries[0] ? log.scrollHeight : 0;
      else if (first < told.first) log.scrollTop += log.scrollHeight - height;
      if (is.atEnd && !document.hidden) talk.see();
    }
    is.extra?.drawn();
    told.first = first;
    paint();
    retitle(document.hidden ? unread : 0);
    change('unread', unread);
    change('state', talk.line.state);
  }

  /** Says quietly what is wrong with the line, if it stays wrong. */
  function status() {
    const gone = !talk.stopped && (talk.mustAgree() ? !talk.clinic : talk.line.state !== 'live');
    away = gone && (away || Date.now());
    const late = gone && Date.now() - away >= PATIENCE;
    if (gone && !late) setTimeout(soon, PATIENCE);
    if (!navigator.onLine) return notice || t('Offline. What you write is kept and sent later.');
    return late ? t('Connecting…') : notice;
  }

  /** Goes on in this language, once its words are here; without them, in English. */
  async function speak(language) {
    await learn(server, language);
    spoken = language;
    t = speech(language);
    time = times([wish(), language].find((one) => one.startsWith(language))); // `en-GB` says how `en` is written here
    draw();
  }

  function message(event) {
    const { who, text, seq } = event;
    tell('message', { seq, role: who.role, text });
    if (byPerson(event)) return;
    event.news = `${nameOf(who, t, talk.clinic)}: ${text}`; // announced, as long as it is there at all
    setTimeout(() => {
      event.news = '';
      soon();
    }, SPOKEN);
    if (talk.memory.visit.sound) is.extra?.ring();
  }

  /** On a small screen the panel covers the page: a focus that moves on to the page behind closes it. */
  function left({ relatedTarget: to }) {
    if (to && !root.contains(to) && root.getElementById('panel')?.offsetWidth === innerWidth) shut();
  }

  /** What only the browser knows: the screen a keyboard on the glass leaves, and the colours that can be read. */
  function paint() {
    const { height, offsetTop } = window.visualViewport;
    style({ '--view': `${height}px`, '--above': `${offsetTop}px`, '--brand': host.getAttribute('brand') });
    const { outlineColor, columnRuleColor } = getComputedStyle(root.firstChild);
    const brand = parse(outlineColor);
    style({ '--on-brand': `rgb(${textOn(brand)})`, '--accent': `rgb(${readableOn(parse(columnRuleColor), brand)})` });
  }

  /** Only in our own sheet: a style on an element would need the page's leave. */
  function style(values) {
    for (const name in values) if (values[name]) sheet.cssRules[0].style.setProperty(name, values[name]);
  }

  function retitle(unread) {
    const title = (unread ? `(${unread}) ` : '') + document.title.replace(/^\(\d+\) /, '');
    if (document.title !== title) document.title = title;
  }

  function change(name, value) {
    if (told[name] !== value) tell(name, { [name]: (told[name] = value) });
  }

  function tell(type, detail) {
    host.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** This script is too old for the server. Once, a reload may help; the draft and the queue are written down. */
function reloadOnce() {
  attempt(() => {
    if (sessionStorage.onethreadReloaded) return;
    sessionStorage.onethreadReloaded = 1; // throws where nobody could know later that it was done before
    location.reload();
  });
}
