"""Every example, on a page of another origin, as its platform would deliver it."""

import asyncio
import html
import json
import re
import shutil

import pytest
from playwright.async_api import expect

from server.settings import CHECKOUT
from tests.web.given import signed
from tests.widget.given import WIDGET, Chat, Clinic

EXAMPLES = WIDGET / "examples"
EMBED = (CHECKOUT / "docs" / "embed.md").read_text("utf-8")
PUT_IN = ("https://chat.your-clinic.example", "my-site")  # what every example leaves to be put in
HTML = '<!doctype html><html lang="en"><meta charset="utf-8"><title>A clinic</title><body><h1>Hi</h1>{}</body>'
ALONE = "default-src 'none'; connect-src {server} {socket}; require-trusted-types-for 'script'; script-src {server}"


def example(clinic: Clinic, path: str) -> str:
    """An example with this server and site put in."""
    text = (EXAMPLES / path).read_text("utf-8")
    return text.replace(PUT_IN[0], clinic.site.server).replace(PUT_IN[1], "demo")


async def answered(chat: Chat) -> None:
    """Somebody asks, and is answered."""
    await (await chat.open()).agree()
    await chat.say("hello")
    await chat.shows("hello", "You said: hello")


async def until_known(clinic: Clinic) -> None:
    """Wait until staff see who it is."""
    thread = await clinic.thread(await clinic.colleague())
    for _ in range(600):
        if (await clinic.running.house.conversations.refresh(thread)).name == "Anna Lind":
            return
        await asyncio.sleep(0.05)  # it is told beside what is said
    raise AssertionError("nobody was told who has signed in")


async def test_the_plain_page(clinic: Clinic) -> None:
    await answered(await clinic.at(clinic.site.put(body=example(clinic, "plain.html"), policy=ALONE)))


async def test_a_tag_manager_that_fires_its_tag_twice(clinic: Clinic) -> None:
    """It writes the tag into the page and makes its scripts anew, with the page's nonce."""
    fire = """<script nonce="page">
      const tag = document.getElementById('tag').value;
      for (let times = 0; times < 2; times++) {
        const holder = document.body.appendChild(document.createElement('div'));
        holder.innerHTML = tag;
        for (const dead of holder.querySelectorAll('script')) {
          const script = document.createElement('script');
          script.nonce = 'page';
          script.text = dead.text;
          dead.replaceWith(script);
        }
      }
    </script>"""
    tag = html.escape(example(clinic, "tag-manager/tag.html"), quote=False)
    body = HTML.format(f'<textarea id="tag" hidden>{tag}</textarea>{fire}')
    policy = "default-src 'none'; script-src 'nonce-page' {server}; connect-src {server} {socket}"
    chat = await clinic.at(clinic.site.put(body=body, policy=policy))
    await expect(chat.launcher).to_have_count(1)
    await answered(chat)


def rendered_liquid(source: str, **known: str) -> str:
    """What Shopify makes of as much Liquid as the snippet has."""
    text = re.sub(r"{%-? comment -?%}.*?{%-? endcomment -?%}\s*", "", source, flags=re.DOTALL)
    text = re.sub(
        r"\s*{%-? if ([\w.]+) != blank -?%}\s*(.*?)\s*{%-? endif -?%}\s*",
        lambda found: found[2] if known[found[1]] else "",
        text,
        flags=re.DOTALL,
    )
    said = re.sub(r"{{ ([\w.]+)(?: \| remove: ' ')? \| escape }}", lambda found: known[found[1]], text)
    assert "{{" not in said
    assert "{%" not in said
    return said


@pytest.mark.parametrize("phone", ["+4930231250", ""])
async def test_a_shopify_theme(clinic: Clinic, phone: str) -> None:
    snippet = rendered_liquid(
        (EXAMPLES / "shopify/snippets/onethread-chat.liquid").read_text("utf-8"),
        **{"site": "demo", "server": clinic.site.server, "request.locale.iso_code": "de", "shop.phone": phone},
    )
    policy = "block-all-mixed-content; frame-ancestors 'none'"
    chat = await clinic.at(clinic.site.put(body=HTML.format(snippet), policy=policy))
    assert await chat.page.locator("onethread-chat a").count() == bool(phone)
    await (await chat.open()).agree()
    await expect(chat.page.locator(".frame")).to_have_attribute("lang", "de")


def rendered_php(source: str, values: dict[str, str]) -> str:
    """What WordPress makes of the plugin's end of the page: its markup, and the scripts it has printed."""
    function = source.split("function onethread_chat_footer")[1].split("\nadd_action")[0]
    markup = function.split("?>", 1)[1].split("\n\t<?php\n")[0]
    markup = re.sub(r"<\?php (?:if .*?|endif;) \?>", "", markup)
    markup = re.sub(
        r"<\?php echo esc_\w+\( (?:str_replace\( ' ', '', )?\$(\w+)(?: \))? \); \?>", lambda it: values[it[1]], markup
    )
    scripts = []
    for array in re.findall(r"wp_print_script_tag\(\s*array\((.*?)\n\t+\)\s*\);", function, flags=re.DOTALL):
        given = dict(re.findall(r"'([\w-]+)'\s*=> (.+?),\n", array))
        said = {name: attribute(name, value, values) for name, value in given.items()}
        scripts.append(f"<script {' '.join(each for each in said.values() if each)}></script>")
    assert "<?php" not in markup
    return markup + "".join(scripts)


def attribute(name: str, value: str, values: dict[str, str]) -> str:
    if value == "true":
        return name
    literal = re.fullmatch(r"'(.*)'", value)
    joined = re.fullmatch(r"\$(\w+) \. '(.*)'", value)
    said = literal[1] if literal else values[joined[1]] + joined[2] if joined else values[name]
    return f'{name}="{said}"'


async def test_a_wordpress_site_and_somebody_who_signs_in_and_out_there(clinic: Clinic) -> None:
    source = (EXAMPLES / "wordpress/onethread-chat/onethread-chat.php").read_text("utf-8")
    values = {"site": "demo", "server": clinic.site.server, "phone": "+4930231250", "src": "/identity.js"}
    signed_in = {"data-signed-in": "1", "data-url": "/identity", "data-nonce": "nonce"}
    clinic.site.put(
        "/identity.js",
        body=example(clinic, "wordpress/onethread-chat/identity.js"),
        type="text/javascript",
        policy=None,
    )
    clinic.site.put(
        "/identity", body=json.dumps({"token": signed(clinic.running)}), type="application/json", policy=None
    )
    policy = "default-src 'none'; script-src 'self' {server}; connect-src 'self' {server} {socket}"
    url = clinic.site.put(body=HTML.format(rendered_php(source, values | signed_in)), policy=policy)
    chat = await clinic.at(url)
    await answered(chat)
    await until_known(clinic)
    await chat.shows("hello", "You said: hello")

    clinic.site.put(body=HTML.format(rendered_php(source, values | signed_in | {"data-signed-in": "0"})), policy=policy)
    await chat.page.goto(url)
    await expect(chat.page.locator("#launcher")).to_be_visible()
    await chat.page.wait_for_function("() => !Object.keys(sessionStorage).length && !localStorage.length")


APP = """import { createElement as h, StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { OnethreadChat } from './OnethreadChat.jsx';

const token = async () => window.token;

function App() {
  const [page, turn] = useState({ name: 'one' });
  window.turn = turn;
  const on = { message: ({ text }) => (window.heard ??= []).push(`${page.name}: ${text}`) };
  return h(StrictMode, {},
    h('h1', {}, page.name),
    page.chat === false ? null : h(OnethreadChat, { server: SERVER, site: 'demo', on, identify: page.known && token },
      h('a', { href: 'tel:+4930' }, 'Call us')));
}
createRoot(document.getElementById('root')).render(h(App));
"""
BUNDLE = """import { build } from 'esbuild';
const [contents, server, resolveDir] = process.argv.slice(1);
const define = { SERVER: JSON.stringify(server), 'process.env.NODE_ENV': '"development"' };
const stdin = { contents, resolveDir, loader: 'jsx' };
const { outputFiles } = await build({ stdin, bundle: true, write: false, jsx: 'automatic', define, logLevel: 'error' });
process.stdout.write(outputFiles[0].text);
"""


async def bundled(server: str) -> str:
    """The React example in an application, as its own build makes it."""
    if shutil.which("node") is None or not (WIDGET / "node_modules" / "react-dom").is_dir():
        pytest.skip("React is not installed: `npm ci` in widget/")
    run = ["node", "--input-type=module", "-e", BUNDLE, APP, server, str(EXAMPLES / "react")]
    made = await asyncio.create_subprocess_exec(*run, cwd=WIDGET, stdout=asyncio.subprocess.PIPE)
    text, _ = await made.communicate()
    assert made.returncode == 0
    return text.decode()


async def test_a_react_application(clinic: Clinic) -> None:
    clinic.site.put("/app.js", body=await bundled(clinic.site.server), type="text/javascript", policy=None)
    body = HTML.format('<div id="root"></div><script src="/app.js"></script>')
    policy = "default-src 'none'; script-src 'self' {server}; connect-src {server} {socket}"
    chat = await clinic.at(clinic.site.put(body=body, policy=policy))
    await answered(chat)

    await chat.page.evaluate("turn({ name: 'two' })")  # another view of the same application: the chat stays as it is
    await chat.say("again")
    await chat.shows("hello", "You said: hello", "again", "You said: again")
    heard = await chat.page.evaluate("heard")
    assert (heard[0], heard[-1]) == ("one: hello", "two: You said: again")

    await chat.page.evaluate("turn({ name: 'three', chat: false })")
    await expect(chat.launcher).to_have_count(0)
    await chat.page.evaluate("turn({ name: 'four' })")  # and a new element goes on where the old one was
    await expect(chat.bubbles).to_have_count(4)

    await chat.page.evaluate(
        "(token) => { window.token = token; turn({ name: 'five', known: true }) }", signed(clinic.running)
    )
    await until_known(clinic)
    await chat.page.evaluate("turn({ name: 'six' })")
    await expect(chat.page.locator("#agree")).to_be_visible()
    await expect(chat.bubbles).to_have_count(0)


# what stands in the way on real pages


async def test_the_policy_in_the_docs_is_enough_and_every_grant_in_it_is_needed(clinic: Clinic) -> None:
    line = re.findall(r"(?m)^Content-Security-Policy: (.+)$", EMBED)[0]
    policy = line.replace(PUT_IN[0].replace("https", "wss"), "{socket}").replace(PUT_IN[0], "{server}")
    await answered(await clinic.at(clinic.site.put(policy=policy)))

    for directive in ("script-src", "connect-src"):
        fewer = "; ".join(each for each in policy.split("; ") if not each.startswith(directive))
        assert fewer != policy
        url = clinic.site.put(policy=fewer, inside="<b>Call us</b>")
        async with await clinic.browser.new_context() as context:  # here violations are what is looked for
            page = await context.new_page()
            await page.goto(url)
            if directive == "script-src":
                await expect(page.get_by_text("Call us")).to_be_visible()
                await expect(page.locator("#launcher")).to_have_count(0)
            else:
                await page.locator("#launcher").click()
                await expect(page.locator(".status")).to_have_text("Connecting…")
                await expect(page.locator("#agree")).to_have_count(0)


async def test_a_policy_of_nonces_that_trusts_what_a_trusted_script_loads(clinic: Clinic) -> None:
    policy = "default-src 'none'; script-src 'nonce-page' 'strict-dynamic'; connect-src {server} {socket}"
    script = f'<script nonce="page" src="{clinic.site.server}/widget/v1/onethread.js" async></script>'
    chat = await clinic.at(clinic.site.put(policy=policy, script=script))
    await answered(chat)
    await expect(chat.page.locator("#files")).to_be_attached()  # the second file has come as well


async def test_colours_in_which_nothing_can_be_read_are_told_to_whoever_chose_them(clinic: Clinic) -> None:
    context, told = await clinic.person(), []
    context.on("console", lambda message: told.append(message.text))
    policy = "script-src {server}; connect-src {server} {socket}; style-src 'unsafe-inline'"
    for colours, times in (("--ink: #555; --surface: #fff", 0), ("--ink: #999; --surface: #fff", 1)):
        head = f"<style>onethread-chat {{ {colours} }}</style>"
        chat = await clinic.at(clinic.site.put(head=head, policy=policy), context)
        await (await chat.open()).agree()
        await expect(chat.page.locator("#files")).to_be_attached()
        assert sum("--ink on --surface has a contrast of 2.8" in each for each in told) == times


async def test_a_script_that_an_optimiser_has_copied_to_the_pages_own_server(clinic: Clinic) -> None:
    copy = (WIDGET / "dist" / "onethread.js").read_text("utf-8")
    clinic.site.put("/cache/all.min.js", body=f";/* others */;{copy};/* more */", type="text/javascript", policy=None)
    policy = "default-src 'none'; script-src 'self' {server}; connect-src {server} {socket}"
    server = f'server="{clinic.site.server}"'
    script = '<script src="/cache/all.min.js" defer></script>'
    await answered(await clinic.at(clinic.site.put(attributes=server, script=script, policy=policy)))


async def test_a_script_that_is_held_back_until_somebody_agrees_to_it_or_touches_the_page(clinic: Clinic) -> None:
    held = f'<script type="text/plain" data-src="{clinic.site.server}/widget/v1/onethread.js"></script>'
    policy = "default-src 'none'; script-src {server}; connect-src {server} {socket}"
    chat = await clinic.at(clinic.site.put(script=held, inside="<b>Call us</b>", policy=policy))
    await expect(chat.page.get_by_text("Call us")).to_be_visible()
    await expect(chat.launcher).to_have_count(0)
    await chat.page.evaluate(
        """() => {
          const held = document.querySelector('script[data-src]');
          held.replaceWith(Object.assign(document.createElement('script'), { src: held.dataset.src }));
        }"""
    )
    await answered(chat)


async def test_two_chats_on_one_page_are_two_conversations(clinic: Clinic) -> None:
    local = clinic.site.server.replace(*clinic.site.elsewhere)  # the same server by another name
    body = HTML.format(
        '<onethread-chat id="one" site="demo"></onethread-chat>'
        f'<onethread-chat id="two" site="demo" server="{local}" position="start"></onethread-chat>'
        f'<script src="{clinic.site.server}/widget/v1/onethread.js"></script>'
    )
    two = f"{local} {local.replace('http', 'ws', 1)}"
    policy = f"default-src 'none'; script-src {{server}} {local}; connect-src {{server}} {{socket}} {two}"
    page = (await clinic.at(clinic.site.put(body=body, policy=policy))).page
    for name in ("one", "two"):
        chat = page.locator(f"#{name}")
        await chat.locator("#launcher").click()
        await chat.locator("#agree").click()
        await chat.locator("#write").fill(name)
        await chat.locator("#write").press("Enter")
        await expect(chat.locator(".bubble")).to_have_text([name, f"You said: {name}"])
        await chat.locator("#title").press("Escape")
