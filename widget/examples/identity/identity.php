<?php
/**
 * Says to Onethread who has signed in on your site. Nothing to install.
 *
 *   $token = onethread_identity($key, 'my-site', (string) $user->ID, ['name' => $user->display_name]);
 *
 * $key is what `python3 run.py site key my-site` shows. It stays on your server.
 */

/** Returns a token that is good for five minutes, once. $claims: name, email, phone, as far as you like. */
function onethread_identity(string $key, string $site, string $user, array $claims = []): string
{
    $now = time();
    $said = ['aud' => $site, 'sub' => $user, 'iat' => $now, 'exp' => $now + 300, 'jti' => bin2hex(random_bytes(16))];
    $base64 = fn (string $bytes): string => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    $text = fn (array $value): string => $base64(json_encode($value, JSON_THROW_ON_ERROR));
    $unsigned = $text(['alg' => 'HS256', 'typ' => 'JWT']) . '.' . $text($said + $claims);
    return $unsigned . '.' . $base64(hash_hmac('sha256', $unsigned, $key, true));
}
