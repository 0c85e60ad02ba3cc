/**
 * What stands on the page of `/widget/frame` beside the chat: it is open there, and the page around the frame can talk with it
 * by messages, `{onethread: …}`. Only pages of the site's own origins are heard, and told anything.
 *
 * Said to the page: `ready`, `open`, `close`, `unread` (with `unread`), `error` (with `code`), `identified`, `token` (give me one).
 * Heard from it: `open`, `logout`, `language` (with `language`), `identify`, `token` (with `token`).
 */
const chat = document.querySelector('onethread-chat');
const origins = document.documentElement.dataset.around.split(' ');
const framed = parent !== window;
let around = [location.ancestorOrigins?.[0], document.referrer && new URL(document.referrer).origin].find((one) => origins.includes(one));
let given; // takes the token that was asked for

const failed = ({ code }) => tell('error', { code });
const heard = {
  open: () => chat.open(),
  logout: () => chat.logout(),
  language: ({ language }) => chat.language(`${language}`),
  identify: () => chat.identify(ask).then(() => tell('identified')),
  token: ({ token }) => given?.(token),
};

for (const type of ['open', 'unread', 'error']) chat.on(type, (detail) => tell(type, detail));
chat.on('close', () => {
  tell('close'); // the page may want to put the frame away
  chat.open();
});
if (framed) addEventListener('message', listen);
chat.open().then(() => tell('ready'), failed);

function tell(type, detail) {
  if (framed && around) parent.postMessage({ ...detail, onethread: type }, around);
}

function ask() {
  return new Promise((yes) => {
    given = yes;
    tell('token');
  });
}

function listen({ source, origin, data }) {
  if (source !== parent || !origins.includes(origin)) return;
  around = origin; // a browser that does not say who is around learns it here
  const wanted = data?.onethread;
  if (Object.hasOwn(heard, wanted)) Promise.resolve(heard[wanted](data)).catch(failed);
}
