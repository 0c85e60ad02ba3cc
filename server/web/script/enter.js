/** A one-time link carries its token after the `#`, which no server and no log sees: this posts it, once. */
const token = location.hash.slice(1);
const form = document.getElementById('enter');

if (token && form) {
  history.replaceState(null, '', location.pathname);
  form.elements.token.value = token;
  document.getElementById('entering').hidden = false;
  form.submit();
}
