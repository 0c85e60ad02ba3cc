/** What has to be said to the server, kept until it is answered. The line itself is the widget's own. */
import { connectStaff, followPage, uuid } from '/widget/v1/connection.js';

export { connectStaff, followPage, uuid };

const KEPT = 'onethread.outbox';

/**
 * Commands, said one by one and again after every cut, each under the key it got at first. What is not answered outlives a
 * reload in the tab's own storage.
 * @param {(frame: object) => boolean} send false if there is no line
 * @param {(frame: object, answer: object) => void} answered the answer to a command: `event`, `done` or `refused`
 */
export function outbox(send, answered) {
  const frames = JSON.parse(sessionStorage.getItem(KEPT)) ?? [];
  let said;
  const flush = () => {
    if (frames.length && !said) said = send(frames[0]);
  };
  const keep = () => sessionStorage.setItem(KEPT, JSON.stringify(frames));
  const settle = (answer) => {
    const [frame] = frames;
    if (answer.key !== frame?.key) return;
    said = false;
    if (answer.t === 'later') {
      setTimeout(flush, answer.retry_ms);
      return;
    }
    frames.shift();
    keep();
    answered(frame, answer);
    flush();
  };
  return {
    frames,
    settle,
    add(frame) {
      frames.push({ key: uuid(), ...frame });
      keep();
      flush();
    },
    /** The line stands again: what was said on the old one may be lost. */
    again() {
      said = false;
      flush();
    },
    /** The server hung up because of what was said last: it will never be taken. */
    mistake: () => said && settle({ t: 'refused', code: 'other', key: frames[0].key }),
  };
}
