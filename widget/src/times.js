/** Times as people of a language write them, in their own time zone; the clinic's hours in the clinic's. */
import { attempt } from './world.js';

const DAY = 86_400_000; // ms
const SUNDAY = 3 * DAY; // 4 January 1970, in UTC

/** One way of writing times, everywhere the same: `en-GB` counts to 24, `en-US` twice to 12. What is no language is the browser's own. */
export function times(wish) {
  const language = attempt(() => Intl.getCanonicalLocales(wish));
  const format = (options) => {
    const made = new Intl.DateTimeFormat(language, options);
    return (at) => made.format(new Date(at));
  };
  const weekday = format({ weekday: 'short', timeZone: 'UTC' });
  const plain = format({ timeStyle: 'short', timeZone: 'UTC' });
  const clock = (time) => plain(`1970-01-01T${time}Z`);
  const date = format({ weekday: 'long', day: 'numeric', month: 'long' });
  const near = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const midnight = (at) => new Date(at).setHours(0, 0, 0, 0);
  return {
    /** 14:05 */
    time: format({ timeStyle: 'short' }),
    /** today, yesterday, Monday 3 November */
    day(at, now = Date.now()) {
      const back = Math.round((midnight(at) - midnight(now)) / DAY);
      return back < -1 ? date(at) : near.format(back, 'day');
    },
    /** Mon 8:00 AM, at the clinic */
    opening: (at, timeZone) => format({ weekday: 'short', hour: 'numeric', minute: '2-digit', timeZone })(at),
    /** Mon, Tue, Fri 08:00–18:00 */
    hours: ({ days, opens, closes }) => `${days.map((iso) => weekday(SUNDAY + iso * DAY)).join(', ')} ${clock(opens)}–${clock(closes)}`,
  };
}
