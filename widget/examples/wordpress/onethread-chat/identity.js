/** Tells the chat who has signed in to WordPress, and that nobody is signed in any more. */
(() => {
  const { signedIn, url, nonce } = document.currentScript.dataset;
  const MARK = 'onethread-chat-signed-in';

  async function token() {
    const answer = await fetch(url, { credentials: 'same-origin', headers: { 'X-WP-Nonce': nonce } });
    if (!answer.ok) throw new Error(`identity: ${answer.status}`);
    return (await answer.json()).token;
  }

  customElements.whenDefined('onethread-chat').then(() => {
    const chat = document.querySelector('onethread-chat');
    if (signedIn === '1') {
      localStorage.setItem(MARK, '1');
      chat.identify(token).catch(({ code }) => console.warn(`onethread: ${code}`));
    } else if (localStorage.getItem(MARK)) {
      localStorage.removeItem(MARK);
      chat.logout();
    }
  });
})();
