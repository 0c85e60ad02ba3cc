/**
 * The chat in a React application. Put it once where it stays, such as at the end of your layout:
 *
 *   <OnethreadChat server="https://chat.your-clinic.example" site="my-site" identify={user && fetchToken}>
 *     <a href="tel:+493023125100">Call us</a>
 *   </OnethreadChat>
 *
 * `identify`: what fetches a token of your own server, as long as somebody is signed in; when it is gone, the chat forgets
 * them. Keep it the same function between two renderings. `on`: `{open, close, message, unread, state, error}`, as far as you
 * want to know. Any other attribute of the element (`lang`, `theme`, `position`, `brand`) goes on it as it is.
 */
import { useEffect, useRef } from 'react';

const EVENTS = ['open', 'close', 'message', 'unread', 'state', 'error'];

export function OnethreadChat({ server, identify, on, children, ...attributes }) {
  const element = useRef(null);
  const listeners = useRef(on);
  const known = useRef(false);
  listeners.current = on;

  useEffect(() => load(server), [server]);

  useEffect(() => {
    const chat = element.current;
    const tell = ({ type, detail }) => listeners.current?.[type]?.(detail);
    for (const type of EVENTS) chat.addEventListener(type, tell);
    return () => EVENTS.forEach((type) => chat.removeEventListener(type, tell));
  }, []);

  useEffect(() => {
    let gone = false;
    customElements.whenDefined('onethread-chat').then(() => {
      const chat = element.current;
      if (gone || !chat || (!identify && !known.current)) return;
      if (identify) chat.identify(identify).catch(() => {}); // `on.error` has been told
      else chat.logout().catch(() => {}); // it was taken from the page
      known.current = Boolean(identify);
    });
    return () => {
      gone = true;
    };
  }, [identify]);

  return (
    <onethread-chat ref={element} server={server} {...attributes}>
      {children}
    </onethread-chat>
  );
}

/** Loads the script, once for the page. */
function load(server) {
  const src = `${server}/widget/v1/onethread.js`;
  if (document.querySelector(`script[src="${CSS.escape(src)}"]`)) return;
  document.head.append(Object.assign(document.createElement('script'), { src, async: true }));
}
