/**
 * Says to Onethread who has signed in on your site. Nothing to install.
 *
 *   const token = identity(key, 'my-site', user.id, { name: user.name });
 *
 * `key` is what `python3 run.py site key my-site` shows. It stays on your server.
 */
import { createHmac, randomUUID } from 'node:crypto';

const text = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token that is good for five minutes, once. `claims`: `name`, `email`, `phone`, as far as you like. */
export function identity(key, site, user, claims = {}) {
  const now = Math.floor(Date.now() / 1_000);
  const said = { ...claims, aud: site, sub: String(user), iat: now, exp: now + 300, jti: randomUUID() };
  const unsigned = `${text({ alg: 'HS256', typ: 'JWT' })}.${text(said)}`;
  return `${unsigned}.${createHmac('sha256', key).update(unsigned).digest('base64url')}`;
}
