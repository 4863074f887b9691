// Clicks through the bridge's pages in a real browser, as people do.
//
//     node click.mjs MODULES DEMO FLEET PICTURES
//
// MODULES is where playwright-core is installed, DEMO the address of the demo,
// FLEET that of a bridge with many targets, one of them hostile. Writes
// pictures, and ends with 1 at the first thing that is not as it should be.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { contrasts } from "./contrast.mjs";

const [modules, demo, fleet, pictures] = process.argv.slice(2);
const { chromium } = createRequire(path.join(modules, "of.mjs"))("playwright-core");
mkdirSync(pictures, { recursive: true });

// Pages that do not load themselves anew under the test.
const still = `${demo}/?refresh=off`;

const desktop = { width: 1280, height: 900 };
const phone = { width: 360, height: 740 };

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});

// A page that is closed after `visit`. Whatever it complains about is a failure.
async function visit(what, options, act) {
  const context = await browser.newContext({ viewport: desktop, colorScheme: "light", ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (said) => {
    // A 404 that is asked for on purpose is said here, too.
    if (["error", "warning"].includes(said.type()) && !said.location().url.includes("/target?name=nobody")) {
      complaints.push(`${said.type()}: ${said.text()}`);
    }
  });
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("requestfailed", (request) => {
    // What the browser itself gives up, because the page is left, is no failure.
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") complaints.push(`failed: ${request.url()}: ${why}`);
  });
  page.on("request", (request) => {
    if (![demo, fleet].some((address) => request.url().startsWith(address))) complaints.push(`outside: ${request.url()}`);
  });
  try {
    await act(page);
    assert.deepEqual(complaints, []);
  } catch (error) {
    error.stack = `${what}, at ${page.url()}: ${error.stack}`;
    throw error;
  }
  await context.close();
  console.log(`${what}: ok`);
}

const names = (page) => page.locator("tbody th[role=rowheader] bdi").allInnerTexts();
const cells = (page, label) => page.locator(`tbody td[data-label="${label}"]`).allInnerTexts();

// The numbers of a column; where one is absent, all after it are.
async function numbers(page, label) {
  const texts = await cells(page, label);
  const there = texts.filter((text) => /\d/.test(text));
  assert.deepEqual(texts.slice(0, there.length), there, "absent numbers come last");
  return there.map((text) => Number(text.replaceAll(/\D/g, "")));
}

const isSorted = (numbers) => numbers.length > 3 && numbers.every((n, i) => i === 0 || numbers[i - 1] >= n);

// Without a horizontal bar, whatever the width.
async function fits(page) {
  const { wide, room } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    room: document.documentElement.clientWidth,
  }));
  assert.ok(wide <= room, `${wide} pixels in a window of ${room}`);
}

// Chromium sometimes fails to take a picture, which says nothing about the page.
async function picture(shown, name, options = {}) {
  const take = () => shown.screenshot({ path: path.join(pictures, `${name}.png`), ...options });
  await take()
    .catch(take)
    .catch(take);
}

// What works with scripts has to work without.
async function clickThrough(page) {
  await page.goto(still);
  assert.equal(await page.title(), "fedimeter");
  assert.equal((await names(page)).length, 6);
  assert.match(await page.locator(".exporters").innerText(), /Last scraped .* of (OpenMetrics|Prometheus text)/);
  assert.match(await page.locator(".exporters").innerText(), /points arrived.*\n.*next push is due in/s);

  await page.getByRole("searchbox", { name: "Search" }).fill("SCIENCE");
  await page.getByRole("button", { name: "Search" }).click();
  assert.match(page.url(), /\?q=SCIENCE&refresh=off$/);
  assert.equal((await names(page)).length, 1);
  assert.match((await names(page))[0], /science\.localhost/);
  await page.getByRole("searchbox", { name: "Search" }).fill("there is none");
  await page.getByRole("searchbox", { name: "Search" }).press("Enter");
  assert.match(await page.locator("main").innerText(), /No target matches/);
  await page.getByRole("link", { name: "Show all" }).click();

  const users = page.getByRole("columnheader", { name: "Users" });
  assert.equal(await users.getAttribute("aria-sort"), null);
  await users.getByRole("link").click();
  assert.equal(await users.getAttribute("aria-sort"), "descending");
  assert.ok(isSorted(await numbers(page, "Users")), "the largest first");
  await users.getByRole("link").click();
  assert.equal(await users.getAttribute("aria-sort"), "ascending");
  assert.ok(isSorted((await numbers(page, "Users")).reverse()), "the smallest first");

  await page.getByRole("link", { name: /with a failing endpoint/ }).click();
  assert.match(page.url(), /state=failing/);
  assert.match(page.url(), /sort=users/, "the order is kept");
  const failing = await names(page);
  assert.ok(failing.some((name) => name.includes("social.localhost")), failing);
  assert.match(await page.locator("tbody").innerText(), /activity server error/);

  await page.getByRole("link", { name: /social\.localhost/ }).click();
  assert.match(await page.title(), /^http:\/\/social\.localhost.* · fedimeter$/);
  assert.match(await page.getByRole("heading", { level: 1 }).innerText(), /social\.localhost/);
  assert.ok((await page.locator("tbody th[role=rowheader]").count()) > 20, "all endpoints");
  const text = await page.locator("main").innerText();
  assert.match(text, /mastodon\.instance\.users/);
  assert.match(text, /Absent: activity could not be read \(http_5xx\): HTTP 500/);
  assert.match(text, /of \d+ requests left/);
  const asking = page.locator("code", { hasText: /^fedimeter\.endpoint\.up$/ }).first();
  assert.equal(await asking.isVisible(), false);
  await page.getByText("Numbers about the requests").click();
  assert.equal(await asking.isVisible(), true, "details open without a script");
  await page.getByRole("link", { name: "All targets" }).click();
  assert.equal((await names(page)).length, 6);

  const missing = await page.goto(`${demo}/target?name=nobody.example`);
  assert.equal(missing.status(), 404);
  assert.match(await page.locator("main").innerText(), /no target of the name nobody\.example/);
}

async function ofTarget(page, name) {
  await page.goto(still);
  await page.getByRole("link", { name }).click();
}

try {
  await visit("with scripts", {}, clickThrough);
  await visit("without scripts", { javaScriptEnabled: false }, clickThrough);

  await visit("by keyboard", {}, async (page) => {
    await page.goto(still);
    const focused = () => page.evaluate(() => document.activeElement.innerText);
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to content");
    await page.keyboard.press("Enter");
    // The browser follows the link after the key, not with it.
    await page.waitForFunction(() => location.hash === "#content");
    await page.keyboard.press("Tab");
    assert.match(await focused(), /6\s+targets/, "the link has led there");
    // Everything that can be clicked comes by, and can be seen to.
    const reached = new Set();
    // Past the last one the browser itself has the focus.
    while (await page.evaluate(() => document.activeElement !== document.body)) {
      reached.add(await focused());
      assert.ok(reached.size < 100);
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
      await page.keyboard.press("Tab");
    }
    for (const link of ["Users", "Search", "Software"]) assert.ok([...reached].some((text) => text.trim() === link), link);
  });

  for (const colorScheme of ["light", "dark"]) {
    await visit(`in ${colorScheme}`, { colorScheme }, async (page) => {
      const pages = [
        ["fleet", () => page.goto(still)],
        ["target", () => ofTarget(page, /social\.localhost/)],
        ["old", () => ofTarget(page, /games\.localhost/)],
        ["hostile", () => page.goto(`${fleet}/?q=127.0.0.1`)],
        ["none", () => page.goto(`${demo}/target?name=nobody.example`)],
      ];
      for (const [name, open] of pages) {
        await open();
        // From a phone to a wall, and on both sides of where the layout changes.
        for (const width of [320, 360, 640, 700, 900, 1168, 1169, 1920, desktop.width]) {
          await page.setViewportSize({ ...desktop, width });
          await fits(page);
        }
        assert.deepEqual(await page.evaluate(contrasts), [], `contrast of ${name}`);
        await picture(page, `${name}-${colorScheme}`, { fullPage: true });
      }
      const page_is_dark = await page.evaluate(() => {
        const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
        return r + g + b < 384;
      });
      assert.equal(page_is_dark, colorScheme === "dark");
    });
  }

  for (const [colorScheme, scale] of [["light", 1], ["dark", 2]]) {
    const options = { viewport: phone, colorScheme, deviceScaleFactor: scale, isMobile: true, hasTouch: true };
    await visit(`on a phone in ${colorScheme}`, options, async (page) => {
      const pages = [
        ["fleet", () => page.goto(still)],
        ["target", () => ofTarget(page, /social\.localhost/)],
        ["hostile", () => page.goto(fleet)],
        ["hostile-target", () => page.locator("tbody a").first().click()],
        ["none", () => page.goto(`${demo}/target?name=${"nobody-".repeat(60)}`)],
      ];
      for (const [name, open] of pages) {
        await open();
        await fits(page);
        assert.deepEqual(await page.evaluate(contrasts), [], `contrast of ${name}`);
        await picture(page, `${name}-phone-${colorScheme}`, { fullPage: !page.url().startsWith(fleet) });
      }
    });
  }

  // Those that stand in the documentation.
  await visit("the fleet's picture", { viewport: { width: 1200, height: 600 } }, async (page) => {
    await page.goto(still);
    await picture(page, "page", { fullPage: true });
  });
  await visit("a target's picture", { viewport: { width: 1200, height: 1060 }, colorScheme: "dark" }, async (page) => {
    await ofTarget(page, /social\.localhost/);
    await picture(page, "page-target");
  });
  await visit("the picture of reasons", { viewport: { width: 1200, height: 900 } }, async (page) => {
    await ofTarget(page, /games\.localhost/);
    const instance = page.getByRole("region", { name: "The instance" });
    await picture(instance, "page-absent");
  });
  const tall = { width: 360, height: 1000 };
  await visit("a phone's picture", { viewport: tall, isMobile: true, deviceScaleFactor: 1.5 }, async (page) => {
    await page.goto(still);
    await picture(page, "page-phone");
  });

  await visit("a large fleet", {}, async (page) => {
    await page.goto(fleet);
    assert.equal((await names(page)).length, 100);
    await page.getByRole("link", { name: "Next" }).click();
    assert.match(page.url(), /page=2$/);
    await page.getByRole("link", { name: "Last" }).click();
    assert.match(await page.locator(".paging").innerText(), /201 to 241 of 241 targets/);
    assert.equal((await names(page)).length, 41);
  });

  await visit("a hostile server", {}, async (page) => {
    await page.goto(`${fleet}/?state=up`);
    for (const open of [() => {}, () => page.locator("tbody a").first().click()]) {
      await open();
      await page.waitForLoadState("networkidle");
      assert.match(await page.locator("main").innerText(), /<script>window\.hit = 1<\/script>/, "it is shown");
      assert.equal(await page.evaluate(() => window.hit), undefined, "and it did not run");
      assert.equal(await page.locator("script, iframe, object, embed, main img, main style").count(), 0);
    }
  });
} finally {
  await browser.close();
}
